"""From a request to a pair of workers: one computes the prompt, the other the answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from smg_policies import RoutingRequest

from ..workers import Worker
from .selector import Selection, Selector


class Pair(NamedTuple):
    """Both choices of one request."""

    prefill: Selection
    decode: Selection


class PairRefused(Exception):
    """No pair can be had; `leg` is the leg without a worker, "" when no two go together."""

    def __init__(self, leg: str) -> None:
        super().__init__(leg or "no two workers go together")
        self.leg = leg


class PairBusy(Exception):
    """Workers are there, but all of one leg are at their limits; `leg` says which."""

    def __init__(self, leg: str) -> None:
        super().__init__(leg)
        self.leg = leg


class PairSelector:
    """Chooses the prefill worker by one policy and then, among those it can hand over to, the
    decode worker by another.

    `max_prefills` bounds the requests in flight on a prefill worker, None is no bound. A decode
    worker's bound is what its engine reports as the most it runs at once.
    """

    def __init__(
        self,
        prefill: Selector,
        decode: Selector,
        *,
        partners: Callable[[Worker, Sequence[Worker]], Sequence[Worker]],
        max_prefills: int | None = None,
        heeds_window: bool = True,
    ) -> None:
        self.prefill = prefill
        self.decode = decode
        self._partners = partners
        self._max_prefills = max_prefills
        self._heeds_window = heeds_window

    @property
    def needs_text(self) -> bool:
        """Whether requests must bring their routing text."""
        return self.prefill.needs_text or self.decode.needs_text

    def select(
        self,
        request: RoutingRequest,
        prefills: Sequence[Worker],
        decodes: Sequence[Worker],
        tried: Collection[Worker] = (),
    ) -> Pair:
        """Choose, preferring workers not in `tried`; raises `PairRefused` or `PairBusy`."""
        return self._pair(request, prefills, decodes, tried, _chosen)

    def preview(
        self, request: RoutingRequest, prefills: Sequence[Worker], decodes: Sequence[Worker]
    ) -> Pair:
        """What `select` would answer now, with nothing remembered of it.

        Raises what `select` raises, and `PreviewUnsupported`.
        """
        return self._pair(request, prefills, decodes, (), Selector.preview)

    def _pair(
        self,
        request: RoutingRequest,
        prefills: Sequence[Worker],
        decodes: Sequence[Worker],
        tried: Collection[Worker],
        choose: Callable[[Selector, RoutingRequest, Sequence[Worker]], Selection | None],
    ) -> Pair:
        prefills = self.prefill.usable(prefills, tried)
        if not prefills:
            raise PairRefused("prefill")
        decodes = self.decode.usable(decodes, tried)
        if not decodes:
            raise PairRefused("decode")
        matched = [worker for worker in prefills if self._partners(worker, decodes)]
        if not matched:
            raise PairRefused("")
        free = [worker for worker in matched if self._takes_prefill(worker)]
        if not free:
            raise PairBusy("prefill")
        # Before the prefill policy charges anything, there must be somebody to hand over to.
        if not any(self._takes_decode(worker) for worker in decodes):
            raise PairBusy("decode")
        first = choose(self.prefill, request, free)
        if first is None:
            raise PairRefused("prefill")
        partners = [
            worker for worker in self._partners(first.worker, decodes) if self._takes_decode(worker)
        ]
        second = choose(self.decode, request, partners) if partners else None
        if second is None:
            self.prefill.settle(request.model, first.decision)
            if not partners:
                raise PairBusy("decode")
            raise PairRefused("decode")
        return Pair(first, second)

    def _takes_prefill(self, worker: Worker) -> bool:
        return self._max_prefills is None or worker.load < self._max_prefills

    def _takes_decode(self, worker: Worker) -> bool:
        window = running_window(worker)
        return not self._heeds_window or window == 0 or worker.load < window


def _chosen(
    selector: Selector, request: RoutingRequest, candidates: Sequence[Worker]
) -> Selection | None:
    return selector.select(request, candidates)


def running_window(worker: Worker) -> int:
    """The most requests that the worker's engine runs at once, as it reports; 0 is unknown."""
    return sum(load.max_running_requests or 0 for load in worker.engine_loads)
