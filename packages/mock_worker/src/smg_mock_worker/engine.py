"""The engine model as a value: queue, prefill, decode and prefix cache on a caller's clock.

No I/O and no clock of its own: every call brings the time in seconds, and the engine answers with
what has happened up to then. A server drives it with the event loop's clock, a simulator with a
virtual one.

Requests wait in one FIFO queue. The head starts when the prefill lane is free and fewer than
`max_running_requests` run. Prefill is serial and takes its uncached tokens divided by the rate;
the first token comes out of it. Decoding requests then get one token each
`inter_token_latency_s`, independent of each other.
"""

import enum
import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from smg_mock_worker.prefix_cache import PrefixCache

__all__ = (
    "Engine",
    "EngineEvent",
    "EngineLoad",
    "EngineRequest",
    "EngineTiming",
    "Finished",
    "QueueFull",
    "RequestState",
    "TokenProduced",
)

DEFAULT_CACHE_BLOCKS = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTiming:
    """How fast and how wide a simulated engine is; zero everywhere answers at once.

    `prefill_tokens_per_s`: prompt tokens per second of the prefill lane, 0 = no time at all.
    `inter_token_latency_s`: seconds between two tokens of one request.
    `max_running_requests`: requests in prefill and decode together, 0 = no limit.
    `max_waiting_requests`: length of the waiting queue, None = no limit.
    Raises `ValueError` for negative numbers.
    """

    prefill_tokens_per_s: float = 0.0
    inter_token_latency_s: float = 0.0
    max_running_requests: int = 0
    max_waiting_requests: int | None = None

    def __post_init__(self) -> None:
        numbers = (
            self.prefill_tokens_per_s,
            self.inter_token_latency_s,
            self.max_running_requests,
            self.max_waiting_requests or 0,
        )
        if min(numbers) < 0:
            raise ValueError(f"engine timing must not be negative: {self}")


class QueueFull(Exception):
    """The waiting queue is at its bound; the request was not taken."""


class RequestState(enum.Enum):
    """Where a request stands; the last two are final."""

    WAITING = "waiting"
    PREFILLING = "prefilling"
    DECODING = "decoding"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class EngineRequest:
    """One request inside an `Engine`; compared by identity. Read it, only the engine writes it.

    Times are seconds on the caller's clock, None until they happen. `cached_tokens` is known once
    prefill has started. `produced_tokens` counts what has come out so far when `per_token` is
    set, else it jumps from 1 to the full length at the end.
    """

    __slots__ = (
        "cached_tokens",
        "finished_at",
        "first_token_at",
        "output",
        "per_token",
        "produced_tokens",
        "prompt",
        "started_at",
        "state",
        "submitted_at",
    )

    def __init__(
        self, prompt: Sequence[int], output: Sequence[int], per_token: bool, submitted_at: float
    ) -> None:
        self.prompt = prompt
        self.output = output
        self.per_token = per_token
        self.submitted_at = submitted_at
        self.started_at: float | None = None
        self.first_token_at: float | None = None
        self.finished_at: float | None = None
        self.state = RequestState.WAITING
        self.cached_tokens = 0
        self.produced_tokens = 0

    def __repr__(self) -> str:
        return (
            f"<EngineRequest {self.state.value} prompt={len(self.prompt)} "
            f"cached={self.cached_tokens} output={self.produced_tokens}/{len(self.output)}>"
        )


class TokenProduced(NamedTuple):
    """Output token number `number` (from 0) of a `per_token` request came out at `at`."""

    request: EngineRequest
    number: int
    at: float


class Finished(NamedTuple):
    """The request has produced all its output at `at`."""

    request: EngineRequest
    at: float


EngineEvent = TokenProduced | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """What an engine reports about itself; counts are requests or tokens, ratios are 0..1.

    `prompt_tokens_total`, `cached_tokens_total`, `generated_tokens_total` and
    `finished_requests_total` only grow.
    """

    running_requests: int
    waiting_requests: int
    waiting_uncached_tokens: int
    used_tokens: int
    capacity_tokens: int
    token_usage: float
    generation_tokens_per_s: float
    cache_hit_rate: float
    prompt_tokens_total: int
    cached_tokens_total: int
    generated_tokens_total: int
    finished_requests_total: int


class Engine:
    """A simulated inference engine.

    `capacity_tokens` is the size of the KV pool that `token_usage` is measured against; by default
    that of the cache's blocks. It does not limit admission.
    """

    def __init__(
        self,
        timing: EngineTiming | None = None,
        *,
        cache: PrefixCache | None = None,
        capacity_tokens: int | None = None,
    ) -> None:
        self.timing = timing or EngineTiming()
        self.cache = PrefixCache(DEFAULT_CACHE_BLOCKS) if cache is None else cache
        blocks = self.cache.capacity_blocks or DEFAULT_CACHE_BLOCKS
        self.capacity_tokens = capacity_tokens or blocks * self.cache.block_size
        self._now = 0.0
        self._sequence = 0
        self._waiting: deque[EngineRequest] = deque()
        self._running: set[EngineRequest] = set()
        self._prefilling: EngineRequest | None = None
        self._due: list[tuple[float, int, EngineRequest]] = []
        self._happened: list[EngineEvent] = []
        self._prompt_tokens = 0
        self._cached_tokens = 0
        self._generated_tokens = 0
        self._finished_requests = 0

    def __repr__(self) -> str:
        return f"<Engine running={len(self._running)} waiting={len(self._waiting)}>"

    def submit(
        self, prompt: Sequence[int], output: Sequence[int], now: float, *, per_token: bool = True
    ) -> EngineRequest:
        """Take a request whose answer will be `output`, at time `now`.

        Without `per_token` only `Finished` is reported, at the same time as it would be otherwise.
        Raises `QueueFull` when the request cannot start at once and the waiting queue is full.
        """
        self._run(now)
        bound = self.timing.max_waiting_requests
        if bound is not None and len(self._waiting) >= bound and not self._can_start():
            raise QueueFull(f"{len(self._waiting)} requests are waiting already")
        request = EngineRequest(prompt, output, per_token, self._now)
        self._waiting.append(request)
        self._start_waiting(self._now)
        return request

    def cancel(self, request: EngineRequest, now: float) -> None:
        """Stop a request; it leaves the queue or frees its place. Nothing happens if it is over."""
        self._run(now)
        match request.state:
            case RequestState.WAITING:
                self._waiting.remove(request)
            case RequestState.PREFILLING | RequestState.DECODING:
                self._running.remove(request)
            case _:
                return
        request.state = RequestState.CANCELLED
        request.finished_at = self._now
        if self._prefilling is request:
            self._prefilling = None
        self._start_waiting(self._now)

    def advance(self, now: float, max_events: int | None = None) -> list[EngineEvent]:
        """Everything that has happened up to `now` and was not returned before, in order of time.

        At most about `max_events` (never cutting one step in two); `next_event_at` then lies in the
        past. A `now` before an earlier one is read as that earlier one.
        """
        self._run(now, max_events)
        happened, self._happened = self._happened, []
        return happened

    def next_event_at(self) -> float | None:
        """When `advance` will have something to say, None if nothing is under way."""
        if self._happened:
            return self._now
        while self._due and self._due[0][2].state is RequestState.CANCELLED:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def load(self, now: float) -> EngineLoad:
        """The engine's state at `now`."""
        self._run(now)
        used = sum(len(request.prompt) + self._produced(request) for request in self._running)
        decoding = sum(request.state is RequestState.DECODING for request in self._running)
        latency_s = self.timing.inter_token_latency_s
        return EngineLoad(
            running_requests=len(self._running),
            waiting_requests=len(self._waiting),
            waiting_uncached_tokens=sum(len(request.prompt) for request in self._waiting),
            used_tokens=used,
            capacity_tokens=self.capacity_tokens,
            token_usage=min(1.0, used / self.capacity_tokens),
            generation_tokens_per_s=decoding / latency_s if latency_s else 0.0,
            cache_hit_rate=self._cached_tokens / self._prompt_tokens
            if self._prompt_tokens
            else 0.0,
            prompt_tokens_total=self._prompt_tokens,
            cached_tokens_total=self._cached_tokens,
            generated_tokens_total=self._generated_tokens,
            finished_requests_total=self._finished_requests,
        )

    def _run(self, now: float, max_events: int | None = None) -> None:
        self._now = max(now, self._now)
        due = self._due
        while due and due[0][0] <= self._now:
            if max_events is not None and len(self._happened) >= max_events:
                return
            at, _, request = heapq.heappop(due)
            if request.state is RequestState.PREFILLING:
                self._finish_prefill(request, at)
            elif request.state is RequestState.DECODING:
                self._decode(request, at)

    def _can_start(self) -> bool:
        limit = self.timing.max_running_requests
        return self._prefilling is None and not (limit and len(self._running) >= limit)

    def _start_waiting(self, at: float) -> None:
        while self._waiting and self._can_start():
            request = self._waiting.popleft()
            request.cached_tokens = self.cache.match(request.prompt)
            request.started_at = at
            self._running.add(request)
            self._prompt_tokens += len(request.prompt)
            self._cached_tokens += request.cached_tokens
            request.state = RequestState.PREFILLING
            self._prefilling = request
            rate = self.timing.prefill_tokens_per_s
            uncached = len(request.prompt) - request.cached_tokens
            if rate and uncached:
                self._schedule(request, at + uncached / rate)
            else:
                self._end_prefill(request)
                self._schedule(request, at)

    def _finish_prefill(self, request: EngineRequest, at: float) -> None:
        self._end_prefill(request)
        self._decode(request, at)
        self._start_waiting(at)

    def _end_prefill(self, request: EngineRequest) -> None:
        request.state = RequestState.DECODING
        self._prefilling = None
        self.cache.insert(request.prompt)

    def _decode(self, request: EngineRequest, at: float) -> None:
        length = len(request.output)
        step = 1 if request.per_token or not request.produced_tokens else length - 1
        if request.produced_tokens < length:
            if not request.produced_tokens:
                request.first_token_at = at
            if request.per_token:
                self._happened.append(TokenProduced(request, request.produced_tokens, at))
            request.produced_tokens += step
            self._generated_tokens += step
        remaining = length - request.produced_tokens
        if remaining > 0:
            steps = 1 if request.per_token else remaining
            self._schedule(request, at + steps * self.timing.inter_token_latency_s)
        else:
            self._finish(request, at)

    def _finish(self, request: EngineRequest, at: float) -> None:
        request.state = RequestState.FINISHED
        request.finished_at = at
        self._running.remove(request)
        self._finished_requests += 1
        self.cache.insert((*request.prompt, *request.output))
        self._happened.append(Finished(request, at))
        self._start_waiting(at)

    def _schedule(self, request: EngineRequest, at: float) -> None:
        self._sequence += 1
        heapq.heappush(self._due, (at, self._sequence, request))

    def _produced(self, request: EngineRequest) -> int:
        latency_s = self.timing.inter_token_latency_s
        if request.per_token or request.first_token_at is None or not latency_s:
            return request.produced_tokens
        steps = int((self._now - request.first_token_at) / latency_s)
        return min(len(request.output), 1 + steps)
