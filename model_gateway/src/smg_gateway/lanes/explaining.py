"""A dry run of the choice of a worker: read the body, ask the policy, send nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from ..dialects import RelayRoute
from ..errors import ErrorRecord, model_not_found
from ..observability.decisions import Choice, DecisionRecord
from ..selection import PairBusy, PairRefused, Selection
from ..workers import Worker
from .pair_plane import PairPlane
from .reading import INLINE_BYTES, Read, read_body
from .relay import RelayLane
from .request import InboundRequest


class ExcludedWorker(msgspec.Struct):
    """A worker that serves the model but would not be considered, and why."""

    worker: str
    why: str


class Explanation(msgspec.Struct):
    """Where a request would go as things stand.

    `decision` is None when it would not be sent anywhere; `error` then says what its answer would
    be: the status and the code.
    """

    object: str
    path: str
    decision: DecisionRecord | None
    """The worker that answers: of a pair, the decode worker."""
    excluded: list[ExcludedWorker]
    error: ForeseenError | None = None
    prefill: DecisionRecord | None = None
    """The other worker of a pair."""


class ForeseenError(msgspec.Struct):
    """The answer that the gateway itself would give."""

    status: int
    code: str | None
    message: str


async def explain(lane: RelayLane, request: InboundRequest, route: RelayRoute) -> Explanation:
    """What would happen to this body on `route`.

    Raises `smg_protocols.RequestInvalid` for a body that the route refuses, and
    `PreviewUnsupported` when the policy cannot say.
    """
    if len(request.body) > INLINE_BYTES:
        read = await asyncio.to_thread(read_body, request, route, lane.canonical)
    else:
        read = read_body(request, route, lane.canonical)
    return _explained(lane, request, route, read)


def _explained(
    lane: RelayLane, request: InboundRequest, route: RelayRoute, read: Read
) -> Explanation:
    model = read.model
    plane = lane.pairs_for(model)
    if plane is not None and route.pair_refusal is not None:
        return Explanation(
            "router.explanation", route.path, None, [], _foreseen(route.pair_refusal)
        )
    if plane is not None and not route.prefill_alone:
        return _pair_explained(lane, plane, request, route, read)
    workers = lane.serving(model)
    explanation = Explanation("router.explanation", route.path, None, [])
    if not workers and model is not None:
        explanation.error = _foreseen(model_not_found(model))
        return explanation
    routing, _ = lane.routable(request, read.view, model, workers, None)
    selection = lane.selector.preview(routing, workers)
    explanation.excluded = _excluded(workers, lane.selector.usable(workers))
    if selection is None:
        explanation.error = _foreseen(lane.selector.refusal(model, workers))
        return explanation
    explanation.decision = _record(request, model, selection, None)
    return explanation


def _pair_explained(
    lane: RelayLane, plane: PairPlane, request: InboundRequest, route: RelayRoute, read: Read
) -> Explanation:
    model = read.model
    prefills, decodes = plane.candidates(model)
    routing, _ = lane.routable(request, read.view, model, prefills, plane)
    selector = plane.selector
    explanation = Explanation(
        "router.explanation",
        route.path,
        None,
        [
            *_excluded(prefills, selector.prefill.usable(prefills)),
            *_excluded(decodes, selector.decode.usable(decodes)),
        ],
    )
    try:
        pair = selector.preview(routing, prefills, decodes)
    except PairRefused as refused:
        explanation.error = _foreseen(plane.refusal(model, refused.leg))
        return explanation
    except PairBusy as busy:
        waits = f"every {busy.leg} worker is at its limit: the request would wait"
        explanation.error = ForeseenError(503, None, waits)
        return explanation
    explanation.prefill = _record(request, model, pair.prefill, "prefill")
    explanation.decision = _record(request, model, pair.decode, "decode")
    return explanation


def _record(
    request: InboundRequest, model: str | None, selection: Selection, leg: str | None
) -> DecisionRecord:
    return Choice(
        request.id,
        model,
        1,
        selection.decision,
        selection.considered,
        selection.took_s,
        time.time(),
        leg,
    ).record()


def _excluded(workers: Sequence[Worker], usable: Sequence[Worker]) -> list[ExcludedWorker]:
    return [
        ExcludedWorker(worker.url, _why_excluded(worker))
        for worker in workers
        if worker not in usable
    ]


def _foreseen(error: ErrorRecord) -> ForeseenError:
    return ForeseenError(error.status, error.code, error.message)


def _why_excluded(worker: Worker) -> str:
    if worker.status.value != "ready":
        return f"its status is {worker.status.value}"
    if worker.overloaded:
        return "it reports too much load"
    if worker.stalled is not None:
        return f"it is {worker.stalled.value}"
    return f"its circuit breaker is {worker.breaker.state.name.lower().replace('_', '-')}"
