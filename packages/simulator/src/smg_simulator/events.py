"""KV cache events from the modelled engines to the policies that listen to them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from smg_policies import Policy

from smg_simulator.engines import EngineModel
from smg_simulator.prompts import PromptStandIn
from smg_simulator.trace import TraceRequest

__all__ = ("EventFeed",)


@runtime_checkable
class _Index(Protocol):
    """What a policy's `events` must offer: the receiving side of `smg_kv_index.EventIndex`."""

    def stored(
        self,
        worker: str,
        blocks: Sequence[tuple[Hashable, Sequence[int]]],
        parent: Hashable | None = None,
    ) -> None: ...

    def removed(self, worker: str, engine_hashes: Iterable[Hashable]) -> None: ...

    def cleared(self, worker: str) -> None: ...


class EventFeed:
    """Tells policies what engines hold, at once and without loss.

    Blocks go to the policy of their model, under their names in the trace. Answers are left out,
    since traces do not tell what was answered.
    """

    def __init__(
        self, policies: Mapping[str | None, Policy], stand_in: PromptStandIn, block_size: int
    ) -> None:
        self._policies = policies
        self._stand_in = stand_in
        self._block_size = block_size

    def changed(
        self,
        engine: EngineModel,
        request: TraceRequest,
        before: int,
        held: int,
        given_up: Sequence[int],
    ) -> None:
        """Pass on what an engine holds now, and what it gave up for that."""
        size = self._block_size
        names = request.blocks[before:held]
        index = self._index(request.model)
        if names and index is not None:
            tokens = self._stand_in.block_tokens(names)
            blocks = [(name, tokens[at * size : (at + 1) * size]) for at, name in enumerate(names)]
            try:
                index.stored(engine.id, blocks, request.blocks[before - 1] if before else None)
            except LookupError:
                # Indexes are bounded: this one has forgotten the block before, and so has no
                # place for what follows it.
                pass
        if given_up:
            for model in self._policies:
                listening = self._index(model)
                if listening is not None:
                    listening.removed(engine.id, given_up)

    def cleared(self, engine: EngineModel) -> None:
        """An engine has lost everything."""
        for model in self._policies:
            index = self._index(model)
            if index is not None:
                index.cleared(engine.id)

    def _index(self, model: str | None) -> _Index | None:
        found = getattr(self._policies.get(model), "events", None)
        return found if isinstance(found, _Index) else None
