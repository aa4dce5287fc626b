"""The gate: whatever happens to whom, each request has one outcome and each permit one owner."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from smg_gateway.admission import Gate, Limits
from smg_gateway.admission.gate import NO_QUEUE, QUEUE_FULL, QUEUE_TIMEOUT, Waiter
from smg_gateway.errors import INTERNAL_ERROR, ErrorRecord
from smg_gateway.observability.admission import AdmissionMetrics
from smg_gateway.observability.metrics import Exposition

LIMITS = Limits(max_concurrent=2, queue_size=3, queue_timeout_s=5)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def gate(limits: Limits = LIMITS, clock: Clock | None = None) -> Gate:
    return Gate(limits, clock or Clock(), AdmissionMetrics(Exposition()))


@dataclass(eq=False)
class Guest:
    """A request, what became of it, and what its work was told."""

    outcomes: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    waiter: Waiter | None = None
    holds: bool = False

    def arrive(self, gate: Gate) -> None:
        if gate.take():
            self.start()
            return
        self.waiter = gate.wait(self.start, self.refuse, lambda: self.outcomes.append("left"))

    def start(self) -> Guest:
        self.outcomes.append("started")
        self.holds = True
        return self

    def refuse(self, error: ErrorRecord) -> None:
        self.outcomes.append(error.code or "")

    def finish(self, gate: Gate) -> None:
        self.holds = False
        gate.release()

    # What an admitted request's work is told.

    def client_left(self) -> None:
        self.told.append("left")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("arrive"), st.just(0)),
            st.tuples(st.sampled_from(["finish", "leave"]), st.integers(0, 50)),
            st.tuples(st.just("advance"), st.integers(0, 4)),
            st.tuples(st.just("bound"), st.integers(1, 4)),
            st.tuples(st.just("run"), st.just(0)),
        ),
        max_size=60,
    )
)
@example_settings(max_examples=150, deadline=None)
def test_nothing_leaks_whatever_happens_in_whatever_order(steps: list[tuple[str, int]]) -> None:
    async def story() -> None:
        clock = Clock()
        door = gate(clock=clock)
        guests: list[Guest] = []
        for step, number in steps:
            holding = [guest for guest in guests if guest.holds]
            waiting = [guest for guest in guests if guest.waiter and not guest.outcomes]
            match step:
                case "arrive":
                    guests.append(Guest())
                    guests[-1].arrive(door)
                case "finish" if holding:
                    holding[number % len(holding)].finish(door)
                case "leave" if waiting:
                    found = waiting[number % len(waiting)].waiter
                    assert found is not None
                    found.client_left()
                case "advance":
                    clock.now += number
                    door.look()
                case "bound":
                    door.reconfigure(Limits(max_concurrent=number, queue_size=3, queue_timeout_s=5))
                case _:
                    await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
            for guest in guests:
                if guest.holds:
                    guest.finish(door)
        clock.now += 100
        door.look()
        assert (door.inflight, len(door)) == (0, 0)
        assert all(len(guest.outcomes) == 1 for guest in guests)
        door.close()

    asyncio.run(story())


@pytest.mark.anyio
async def test_a_client_that_leaves_between_its_turn_and_its_start_gives_the_permit_back() -> None:
    door, first, second = gate(Limits(max_concurrent=1)), Guest(), Guest()
    first.arrive(door)
    second.arrive(door)
    first.finish(door)
    assert second.waiter is not None

    second.waiter.client_left()
    await asyncio.sleep(0)

    assert second.outcomes == ["left"]
    assert door.inflight == 0


@pytest.mark.anyio
async def test_what_is_told_while_waiting_reaches_the_work_when_it_begins() -> None:
    door, first, second = gate(Limits(max_concurrent=1)), Guest(), Guest()
    first.arrive(door)
    second.arrive(door)
    assert second.waiter is not None
    second.waiter.pause()
    first.finish(door)
    await asyncio.sleep(0)
    second.waiter.resume()
    second.waiter.client_left()

    assert second.told == ["pause", "resume", "left"]


@pytest.mark.anyio
async def test_a_request_whose_start_fails_is_answered_and_the_next_one_goes_on() -> None:
    door, first, second = gate(Limits(max_concurrent=1)), Guest(), Guest()
    first.arrive(door)
    refused: list[ErrorRecord] = []

    def broken() -> None:
        door.release()  # Whoever starts owns the permit, also when it fails.
        raise RuntimeError("a defect")

    door.wait(broken, refused.append, lambda: None)
    second.arrive(door)
    first.finish(door)
    for _ in range(3):
        await asyncio.sleep(0)

    assert refused == [INTERNAL_ERROR]
    assert second.outcomes == ["started"]
    assert door.inflight == 1


@pytest.mark.anyio
async def test_refusals_say_which_limit_it_was() -> None:
    clock = Clock()
    full, none = (
        gate(Limits(max_concurrent=1, queue_size=1, queue_timeout_s=5), clock),
        gate(Limits(max_concurrent=1, queue_size=0)),
    )
    errors: list[ErrorRecord] = []
    for door in (full, none):
        door.take()
        door.wait(lambda: None, errors.append, lambda: None)
    full.wait(lambda: None, errors.append, lambda: None)
    clock.now += 5
    full.look()

    assert errors == [NO_QUEUE, QUEUE_FULL, QUEUE_TIMEOUT]
    full.close()


@pytest.mark.anyio
async def test_an_awaited_turn_that_is_cancelled_leaves_no_trace() -> None:
    door = gate(Limits(max_concurrent=1))
    assert door.take()
    async with asyncio.TaskGroup() as group:
        queued = group.create_task(door.turn())
        served = group.create_task(door.turn())
        await asyncio.sleep(0)
        queued.cancel()
        await asyncio.sleep(0)
        assert len(door) == 1
        door.release()
        assert await served is None
        assert door.inflight == 1
        late = group.create_task(door.turn())
        await asyncio.sleep(0)
        door.release()
        late.cancel()
    assert (door.inflight, len(door)) == (0, 0)
