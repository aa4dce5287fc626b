"""What a trace is: who asked when, how much, and which prompt blocks were the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

__all__ = ("DEFAULT_BLOCK_SIZE", "Trace", "TraceBuilder", "TraceInvalid", "TraceRequest")

DEFAULT_BLOCK_SIZE = 512
"""Tokens per block where a trace does not say; the size that the Mooncake traces use."""


class TraceInvalid(ValueError):
    """A trace cannot be used; `line` is the number of the bad line, from 1, None for the whole."""

    def __init__(self, trace: str, line: int | None, problem: str) -> None:
        place = trace if line is None else f"{trace}, line {line}"
        super().__init__(f"{place}: {problem}")
        self.line = line


class TraceRequest(NamedTuple):
    """One request of a trace.

    `at_s` is seconds since the first request. `blocks` names the prompt's blocks in order, the
    last one maybe cut short: two requests share a name exactly where their prompts are the same
    from the start up to the end of that block. Names count from 0 without gaps in a trace.
    """

    at_s: float
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...]
    model: str | None = None
    routing_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trace:
    """Requests in order of time, with prompts cut into blocks of `block_size` tokens.

    `distinct_blocks` counts the block names in use, `credit` says whom to name beside results.
    """

    name: str
    block_size: int
    requests: tuple[TraceRequest, ...]
    distinct_blocks: int
    credit: str = ""

    def __repr__(self) -> str:
        return f"<Trace {self.name}: {len(self)} requests over {self.span_s:g} s>"

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def span_s(self) -> float:
        """Seconds from the first request to the last."""
        return self.requests[-1].at_s if self.requests else 0.0

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens of all requests together."""
        return sum(request.prompt_tokens for request in self.requests)

    @property
    def ideal_hit_rate(self) -> float:
        """The share of prompt tokens that one boundless cache would have, with no time in between.

        No placement on separate caches gets above it. Computed at every call.
        """
        held: set[int] = set()
        cached_tokens = 0
        for request in self.requests:
            size, tokens = self.block_size, request.prompt_tokens
            for name in request.blocks[: max(0, tokens - 1) // size]:
                if name not in held:
                    break
                cached_tokens += size
            held.update(request.blocks[: tokens // size])
        return cached_tokens / self.prompt_tokens if cached_tokens else 0.0

    def head(self, count: int) -> Trace:
        """The first `count` requests."""
        return replace(self, requests=self.requests[:count])

    def at_rate(self, factor: float) -> Trace:
        """The same requests coming `factor` times as fast. Raises `ValueError` unless positive."""
        if not 0 < factor < math.inf:
            raise ValueError(f"a rate factor must be positive, not {factor}")
        requests = tuple(request._replace(at_s=request.at_s / factor) for request in self.requests)
        return replace(self, requests=requests)


class TraceBuilder:
    """Makes a `Trace` of requests in any order; times are shifted so that the first is at 0.

    `hashes` may repeat behind different beginnings: a block's name stands for the whole prompt up
    to its end, and for the model.
    """

    def __init__(
        self, name: str = "trace", *, block_size: int = DEFAULT_BLOCK_SIZE, credit: str = ""
    ) -> None:
        if block_size < 1:
            raise ValueError(f"a block holds at least one token, not {block_size}")
        self._name = name
        self._block_size = block_size
        self._credit = credit
        self._requests: list[TraceRequest] = []
        self._models: dict[str | None, int] = {}
        self._names: dict[tuple[int, int | str], int] = {}
        self._count = 0

    @property
    def block_size(self) -> int:
        """Tokens per block."""
        return self._block_size

    def __len__(self) -> int:
        return len(self._requests)

    def add(
        self,
        at_s: float,
        prompt_tokens: int,
        output_tokens: int,
        hashes: Sequence[int | str] = (),
        *,
        model: str | None = None,
        routing_key: str | None = None,
    ) -> None:
        """Append a request; what `hashes` leaves uncovered of the prompt is like no other prompt.

        Raises `ValueError` for a time that is not finite, for negative counts, and for more
        hashes than the prompt has blocks.
        """
        if not math.isfinite(at_s):
            raise ValueError(f"{at_s} is no time")
        if prompt_tokens < 0 or output_tokens < 0:
            raise ValueError("token counts must not be negative")
        wanted = -(-prompt_tokens // self._block_size)
        if len(hashes) > wanted:
            raise ValueError(
                f"{prompt_tokens} tokens have {wanted} blocks of {self._block_size}, "
                f"not {len(hashes)}"
            )
        blocks = self._chain(hashes, model)
        blocks += range(self._count, self._count + wanted - len(hashes))
        self._count += wanted - len(hashes)
        self._requests.append(
            TraceRequest(at_s, prompt_tokens, output_tokens, tuple(blocks), model, routing_key)
        )

    def build(self) -> Trace:
        """The trace of all requests so far, ordered by time."""
        requests = sorted(self._requests, key=attrgetter("at_s"))
        if requests and (start_s := requests[0].at_s):
            requests = [request._replace(at_s=request.at_s - start_s) for request in requests]
        return Trace(
            name=self._name,
            block_size=self._block_size,
            requests=tuple(requests),
            distinct_blocks=self._count,
            credit=self._credit,
        )

    def _chain(self, hashes: Sequence[int | str], model: str | None) -> list[int]:
        names = self._names
        parent = -1 - self._models.setdefault(model, len(self._models))
        blocks: list[int] = []
        for found in hashes:
            link = (parent, found)
            name = names.get(link)
            if name is None:
                name = names[link] = self._count
                self._count += 1
            blocks.append(name)
            parent = name
        return blocks
