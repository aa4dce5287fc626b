import asyncio
from collections.abc import Callable

import pytest
from smg_mock_worker.engine import Engine, EngineEvent, EngineTiming, Finished, TokenProduced
from smg_mock_worker.pacer import MAX_EVENTS_PER_TURN, EnginePacer

pytestmark = pytest.mark.anyio


class Ear:
    """Listens to one request."""

    def __init__(self, on_event: Callable[[EngineEvent], None] | None = None) -> None:
        self.events: list[EngineEvent] = []
        self.finished = asyncio.Event()
        self._on_event = on_event

    def __call__(self, event: EngineEvent) -> None:
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)
        if isinstance(event, Finished):
            self.finished.set()


async def test_events_come_from_later_turns_of_the_loop() -> None:
    pacer, ear = EnginePacer(Engine()), Ear()
    request = pacer.submit([1], range(2), ear, per_token=True)

    assert ear.events == []
    await ear.finished.wait()
    assert [type(event) for event in ear.events] == [TokenProduced, TokenProduced, Finished]
    assert ear.events[-1].request is request


async def test_events_keep_the_engines_time() -> None:
    pacer, ear = EnginePacer(Engine(EngineTiming(inter_token_latency_s=0.01))), Ear()
    request = pacer.submit([1], range(4), ear, per_token=True)
    await ear.finished.wait()

    times = [event.at - request.submitted_at for event in ear.events]
    assert times == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.03])


async def test_an_earlier_request_does_not_wait_for_a_later_one() -> None:
    pacer = EnginePacer(Engine(EngineTiming(prefill_tokens_per_s=10)))
    slow, fast = Ear(), Ear()
    slow_request = pacer.submit(range(100_000), range(1), slow, per_token=True)
    pacer.submit([1], range(1), fast, per_token=True)
    pacer.cancel(slow_request)
    await fast.finished.wait()

    assert slow.events == []


async def test_a_cancelled_request_is_silent() -> None:
    pacer = EnginePacer(Engine())
    other = Ear()
    request = pacer.submit([1], range(5), Ear(lambda event: pacer.cancel(request)), per_token=True)
    pacer.submit([2], range(5), other, per_token=True)
    await other.finished.wait()

    assert request.produced_tokens <= 5
    assert pacer.load().running_requests == 0


async def test_a_long_answer_leaves_turns_to_others() -> None:
    pacer, ear = EnginePacer(Engine()), Ear()
    pacer.submit([1], range(MAX_EVENTS_PER_TURN * 3), ear, per_token=True)
    turns = 0
    while not ear.finished.is_set():
        await asyncio.sleep(0)
        turns += 1

    assert turns >= 3


async def test_closing_stops_everything() -> None:
    pacer, ear = EnginePacer(Engine(EngineTiming(inter_token_latency_s=3600))), Ear()
    pacer.submit([1], range(2), ear, per_token=True)
    pacer.close()

    load = pacer.load()
    assert (load.running_requests, load.waiting_requests) == (0, 0)
    await asyncio.sleep(0)
    assert ear.events == []


async def test_a_listener_that_fails_does_not_stop_the_engine() -> None:
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))

    def fail(event: EngineEvent) -> None:
        raise LookupError("a defect")

    pacer, ear = EnginePacer(Engine(EngineTiming(inter_token_latency_s=0.001))), Ear()
    pacer.submit([1], range(2), fail, per_token=True)
    pacer.submit([2], range(9), ear, per_token=True)
    await ear.finished.wait()

    assert failures
