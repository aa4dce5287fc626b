"""The rules of the control plane without a clock or a network: time and figures come in."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.upstream import Pool, PoolLimits, parse_origin
from smg_gateway.workers import (
    BreakerConfig,
    CircuitBreaker,
    HealthConfig,
    LivenessLimits,
    OverloadLimits,
    SpecInvalid,
    Stall,
    Worker,
    WorkerSpec,
    WorkerStatus,
    read_spec,
    worker_id,
)
from smg_gateway.workers.health import judge
from smg_gateway.workers.jobs import (
    MAX_FINISHED,
    Job,
    JobFailed,
    JobQueue,
    JobsFull,
    JobState,
    JobType,
    NotYet,
    Patience,
)
from smg_gateway.workers.load_answers import RankLoad, read_gauges, read_loads, report_of
from smg_gateway.workers.overlay import breaker_of, health_of, overload_of, statuses_of, weight_of
from smg_gateway.workers.schedule import Rounds, Schedule
from smg_gateway.workers.spec import HealthSpec, OverloadSpec, ResilienceSpec
from smg_gateway.workers.vetoes import MAX_WEDGE_S, Look, Pulse, feel, is_overloaded
from smg_policies import LoadReport

URL = "http://a"


def make(url: str = URL) -> Worker:
    pool = Pool(parse_origin(url), limits=PoolLimits(), clock=lambda: 0.0)
    breaker = CircuitBreaker(BreakerConfig(failure_threshold=1), lambda old, new: None)
    return Worker(url=url, models=("m",), pool=pool, breaker=breaker)


# --- identity and condition -------------------------------------------------------------------


@given(st.text(), st.text())
def test_ids_follow_from_urls_alone(one: str, other: str) -> None:
    assert worker_id(one) == worker_id(one)
    assert (worker_id(one) == worker_id(other)) is (one == other)
    assert worker_id(one)[14] == "7"


def test_every_condition_decides_at_once_whether_a_worker_is_routable() -> None:
    worker = make()
    assert worker.routable
    worker.overloaded = True
    assert not worker.routable
    assert not worker.usable(0)
    assert worker.available(0)
    worker.overloaded = False
    worker.stalled = Stall.WEDGED
    assert not worker.usable(0)
    worker.stalled = None
    worker.breaker.record_failure(0)
    assert not worker.routable
    assert not worker.usable(0)
    assert worker.usable(61)
    assert worker.routable
    worker.status = WorkerStatus.NOT_READY
    assert not worker.usable(61)
    assert not worker.available(61)


def test_a_worker_that_never_recovers_fails_at_three_times_the_threshold() -> None:
    worker, config = make(), HealthConfig(failure_threshold=2, success_threshold=2)
    seen = []
    for _ in range(7):
        worker.status = judge(worker, False, config)
        seen.append(worker.status)
    ready, not_ready, failed = WorkerStatus.READY, WorkerStatus.NOT_READY, WorkerStatus.FAILED
    assert seen == [ready, not_ready, not_ready, not_ready, not_ready, failed, failed]
    worker.status = judge(worker, True, config)
    worker.status = judge(worker, True, config)
    assert worker.status is ready


def test_a_workers_own_numbers_go_before_the_fleets() -> None:
    spec = WorkerSpec(
        url=URL,
        health=HealthSpec(failure_threshold=9, disable_health_check=True, drain_settle_secs=0),
        resilience=ResilienceSpec(
            cb_failure_threshold=7, retryable_status_codes=[418, 503], capacity_status_codes=[503]
        ),
        overload=OverloadSpec(waiting_requests=3),
    )
    fleet = HealthConfig(timeout_s=2)
    health = health_of(spec.health, fleet)
    assert (health.failure_threshold, health.enabled, health.timeout_s) == (9, False, 2)
    assert health.drain_settle_s == 0
    assert breaker_of(spec, BreakerConfig(open_s=5)) == BreakerConfig(failure_threshold=7, open_s=5)
    limits = overload_of(spec, OverloadLimits(token_usage=0.5))
    assert (limits.waiting_requests, limits.token_usage) == (3, 0.5)
    assert statuses_of(spec) == (frozenset({418}), frozenset({503}))
    assert health_of(None, fleet) is fleet


@pytest.mark.parametrize(
    ("labels", "priority", "cost", "weight"),
    [
        ({}, 50, 1.0, 1.0),
        ({}, 100, 1.0, 2.0),
        ({}, 50, 2.0, 0.5),
        ({}, 50, 0.0, 1.0),
        ({"weight": "2.5"}, 100, 1.0, 2.5),
        ({"weight": "many"}, 50, 1.0, 1.0),
        ({"weight": "-1"}, 50, 1.0, 1.0),
        ({"weight": "inf"}, 50, 1.0, 1.0),
        ({"weight": "nan"}, 50, 1.0, 1.0),
    ],
)
def test_weights_come_from_the_label_or_from_priority_and_cost(
    labels: dict[str, str], priority: int, cost: float, weight: float
) -> None:
    spec = WorkerSpec(url=URL, labels=labels, priority=priority, cost=cost)
    assert weight_of(spec) == weight


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_bytes_that_are_no_specification_are_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(SpecInvalid, match=r"."):
        read_spec(body)


# --- vetoes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "overloaded"),
    [
        (None, False),
        (LoadReport(), False),
        (LoadReport(waiting_requests=7, token_usage=0.79), False),
        (LoadReport(waiting_requests=8), True),
        (LoadReport(token_usage=0.8), True),
    ],
)
def test_overload_begins_at_the_limits(report: LoadReport | None, overloaded: bool) -> None:
    assert is_overloaded(report, OverloadLimits()) is overloaded
    assert not is_overloaded(report, OverloadLimits(waiting_requests=None, token_usage=None))


class Life:
    """A worker's looks, one second apart."""

    def __init__(self) -> None:
        self.pulse = Pulse(contact_at=0.0, progress_at=0.0)
        self.now = 0.0
        self.contacts = self.failures = 0

    def second(
        self,
        *,
        answers: int = 0,
        failures: int = 0,
        streams: int = 0,
        moved: bool = False,
        load: int = 0,
        report: LoadReport | None = None,
    ) -> Stall | None:
        self.now += 1
        self.contacts += answers
        self.failures += failures
        look = Look(
            contacts=self.contacts,
            failures=self.failures,
            streams=streams,
            moved=moved,
            load=load,
            report=report,
        )
        return feel(self.pulse, look, self.now, LivenessLimits())


def test_a_worker_is_unreachable_two_seconds_after_the_last_contact_until_the_next() -> None:
    life = Life()
    assert [life.second() for _ in range(3)] == [None] * 3
    assert life.second(failures=1) is Stall.UNREACHABLE
    assert life.second() is Stall.UNREACHABLE
    assert life.second(answers=1) is None
    assert life.second(failures=1) is None
    assert life.second(failures=1) is Stall.UNREACHABLE
    assert life.second(streams=1, moved=True, load=1) is None


def test_silence_alone_is_no_reason_to_avoid_anybody() -> None:
    life = Life()
    assert {life.second() for _ in range(100)} == {None}
    life.second(streams=1, moved=True, load=1)
    assert {life.second(streams=1, load=1) for _ in range(100)} == {None}


def test_a_worker_is_wedged_when_its_streams_are_silent_and_its_queue_grows() -> None:
    life = Life()
    life.second(streams=2, moved=True, load=2)
    assert [life.second(streams=2, load=3) for _ in range(4)] == [None, None] + [Stall.WEDGED] * 2
    assert life.second(streams=2, moved=True, load=3) is None
    assert {life.second(streams=2, load=3) for _ in range(10)} == {None}


def test_pending_prompts_explain_a_silence_but_not_for_ever() -> None:
    life = Life()
    busy = LoadReport(waiting_uncached_tokens=20_000, throughput=1000.0)
    endless = LoadReport(waiting_uncached_tokens=10**9)
    life.second(streams=1, moved=True, load=1)
    stalls = [life.second(streams=1, load=2, report=busy) for _ in range(30)]
    assert stalls.index(Stall.WEDGED) == 22
    life.second(streams=1, moved=True, load=1)
    stalls = [life.second(streams=1, load=2, report=endless) for _ in range(150)]
    assert stalls.index(Stall.WEDGED) == MAX_WEDGE_S - 1


# --- schedule ---------------------------------------------------------------------------------


def test_visits_are_spread_and_each_comes_once_per_interval() -> None:
    from smg_gateway.workers.schedule import phase

    schedule: Schedule[int] = Schedule()
    for key in range(1000):
        schedule.add(key, 10.0, 10.0 * phase(f"http://10.0.0.{key}:8000"))
    visits: Counter[int] = Counter()
    per_second = []
    for second in range(1, 31):
        due = schedule.due(float(second))
        per_second.append(len(due))
        visits.update(due)
    assert set(visits.values()) == {3}
    assert max(per_second) < 200


def test_a_schedule_forgets_and_never_makes_up_for_what_was_missed() -> None:
    schedule: Schedule[str] = Schedule()
    assert schedule.next_at() is None
    schedule.add("a", 10, 5)
    schedule.add("b", 10, 6)
    assert schedule.next_at() == 5
    schedule.remove("a")
    schedule.remove("nobody")
    assert schedule.next_at() == 6
    assert schedule.due(500) == ["b"]
    assert schedule.next_at() == 510
    schedule.add("b", 1, 501)
    assert schedule.due(501) == ["b"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=200))
def test_a_schedule_keeps_nothing_of_keys_that_have_left(steps: list[tuple[bool, int]]) -> None:
    schedule: Schedule[int] = Schedule()
    for adds, key in steps:
        if adds:
            schedule.add(key, 1, 1)
        else:
            schedule.remove(key)
    for key in range(10):
        schedule.remove(key)
    assert len(schedule) == 0
    assert len(schedule._queue) <= 216
    assert schedule.due(10) == []


@pytest.mark.anyio
async def test_rounds_go_on_when_a_visit_breaks_and_never_visit_twice_at_once() -> None:
    errors: list[Exception] = []
    visits: Counter[str] = Counter()
    go_on = asyncio.Event()

    async def visit(key: str) -> None:
        visits[key] += 1
        if key == "broken":
            raise ValueError(key)
        await go_on.wait()

    loop = asyncio.get_running_loop()
    rounds = Rounds(visit, clock=loop.time, failed=errors.append)
    running = loop.create_task(rounds.run())
    rounds.add("slow", 0.001, name="slow")
    rounds.add("broken", 0.001, name="broken")
    async with asyncio.timeout(5):
        while visits["broken"] < 3:
            await asyncio.sleep(0.001)
    assert visits["slow"] == 1
    assert len(errors) >= 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# --- jobs -------------------------------------------------------------------------------------


def queue(capacity: int = 10, concurrency: int = 2) -> JobQueue:
    return JobQueue(
        capacity=capacity, concurrency=concurrency, clock=lambda: 0.0, wall_clock=lambda: 7.0
    )


async def drained(jobs: JobQueue) -> None:
    async with asyncio.timeout(5):
        while len(jobs):
            await asyncio.sleep(0)


@pytest.mark.anyio
async def test_jobs_are_tried_again_until_their_patience_ends() -> None:
    jobs = queue()
    tries = 0
    reasons: list[str | None] = []

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        raise NotYet("still down")

    patience = Patience(deadline=10.0, max_pause_s=0, first_pause_s=0, max_attempts=3)
    jobs.submit(Job(JobType.ADD, "u", attempt, patience=patience, ended=reasons.append))
    status = jobs.status("u")
    assert status is not None
    assert (status.status, status.timestamp) == (JobState.PENDING, 7)
    await drained(jobs)
    status = jobs.status("u")
    assert status is not None
    assert (status.status, status.message) == (JobState.FAILED, "still down")
    assert (tries, reasons) == (3, ["still down"])


def test_pauses_double_up_to_a_limit_and_stop_at_the_deadline() -> None:
    patience = Patience(deadline=100.0, max_pause_s=1.0)
    pauses = [patience.pause_s(attempt, 0.0) for attempt in range(1, 8)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert patience.pause_s(1000, 98.0) == 1.0
    assert patience.pause_s(1000, 99.5) is None


@pytest.mark.anyio
async def test_jobs_of_a_url_run_in_order_and_a_defect_ends_only_its_own() -> None:
    jobs = queue()
    done: list[str] = []

    async def broken() -> None:
        done.append("broken")
        raise ZeroDivisionError("defect")

    async def hopeless() -> None:
        done.append("hopeless")
        raise JobFailed("no use")

    async def fine() -> None:
        done.append("fine")

    reasons: list[str | None] = []
    for attempt in (broken, hopeless, fine):
        jobs.submit(Job(JobType.UPDATE, "u", attempt, ended=reasons.append))
    await drained(jobs)
    assert done == ["broken", "hopeless", "fine"]
    assert reasons == ["ZeroDivisionError: defect", "no use", None]


@pytest.mark.anyio
async def test_the_job_table_is_bounded() -> None:
    jobs = queue(capacity=50)
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async def fine() -> None:
        return

    for number in range(50):
        jobs.submit(Job(JobType.REMOVE, f"waits {number}", wait, in_line=False))
    with pytest.raises(JobsFull):
        jobs.submit(Job(JobType.ADD, "more", fine))
    gate.set()
    await drained(jobs)
    for number in range(2 * MAX_FINISHED):
        jobs.submit(Job(JobType.ADD, f"{number}", fine))
        if number % 40 == 0:
            await drained(jobs)
    await drained(jobs)
    assert len(jobs.statuses()) <= MAX_FINISHED + 50
    assert not jobs._tasks
    assert not jobs._lines


@pytest.mark.anyio
async def test_only_so_many_jobs_are_at_work_at_once() -> None:
    jobs = queue(capacity=20, concurrency=3)
    at_work = most = 0

    async def attempt() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1

    for number in range(20):
        jobs.submit(Job(JobType.ADD, f"{number}", attempt))
    await drained(jobs)
    assert most == 3


@pytest.mark.anyio
async def test_a_cancelled_job_is_told_so_and_so_are_those_behind_it() -> None:
    jobs = queue()
    reasons: list[str | None] = []
    for _ in range(2):
        jobs.submit(Job(JobType.ADD, "u", asyncio.Event().wait, ended=reasons.append))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await jobs.cancel("u")
    assert reasons == ["cancelled", "cancelled"]
    assert len(jobs) == 0
    await jobs.cancel("nobody")
    await jobs.close()


# --- load answers -----------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("num_running_reqs", "num_waiting_reqs", "token_usage", "dp_rank", "disaggregation"),
            anything,
        ),
    )
)
def test_load_answers_are_figures_or_nothing(row: dict[str, object]) -> None:
    import msgspec

    loads = read_loads(msgspec.json.encode({"loads": [row]}))
    if loads is not None:
        assert "num_running_reqs" in row
        assert report_of(loads).running_requests >= 0


@given(st.binary(max_size=200))
def test_bytes_that_are_no_answer_are_none(body: bytes) -> None:
    assert read_loads(body) is None
    assert read_gauges(body) is None


def test_ranks_are_summed_and_their_cache_usage_averaged() -> None:
    report = report_of([
        RankLoad(num_running_reqs=1, num_waiting_reqs=2, token_usage=0.2, gen_throughput=10.0),
        RankLoad(dp_rank=1, num_running_reqs=3, num_waiting_reqs=4, token_usage=0.6),
    ])
    assert (report.running_requests, report.waiting_requests) == (4, 6)
    assert report.token_usage == pytest.approx(0.4)
    assert report.throughput == 10.0
    assert report.waiting_uncached_tokens is None


def test_gauges_are_read_by_rank_whatever_else_the_page_has() -> None:
    page = """
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a}\\"b"} 3.0
vllm:num_requests_running{engine="1",model_name="a"} 4
vllm:num_requests_waiting{engine="1"} 1e0
vllm:kv_cache_usage_perc{engine="0"} NaN
vllm:unknown_thing 7
other_metric{engine="9"} 5
"""
    loads = read_gauges(page.encode())
    assert loads is not None
    assert [(each.dp_rank, each.num_running_reqs, each.num_waiting_reqs) for each in loads] == [
        (0, 3, None),
        (1, 4, 1),
    ]
    assert loads[0].token_usage is None
    assert read_gauges(b"sglang:token_usage 0.5\n") is None
