from __future__ import annotations

import heapq

from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker import Engine, EngineTiming, PrefixCache, QueueFull
from smg_simulator import TraceBuilder, TraceRequest
from smg_simulator.cache import make_cache
from smg_simulator.engines import NEVER, EngineModel, Job, JobState, Schedule

BLOCK = 4
TIMING = EngineTiming(prefill_tokens_per_s=8, inter_token_latency_s=0.5, max_running_requests=2)


class Bench:
    """One engine model with its schedule."""

    def __init__(self, timing: EngineTiming, cache_blocks: int | None = None) -> None:
        self.schedule = Schedule()
        self.engine = EngineModel(
            0,
            timing,
            make_cache(cache_blocks),
            BLOCK,
            self.schedule,
            capacity_tokens=cache_blocks * BLOCK if cache_blocks else None,
        )
        self.jobs: list[Job] = []
        self.ended: list[Job] = []

    def advance(self, until: float = float("inf")) -> None:
        heap = self.schedule.heap
        while heap and heap[0][0] <= until:
            at, number, job = heapq.heappop(heap)
            if job.due == number and self.engine.step(job, at):
                self.ended.append(job)

    def submit(self, request: TraceRequest) -> Job:
        self.advance(request.at_s)
        job = Job(len(self.jobs), request, BLOCK)
        self.jobs.append(job)
        self.engine.submit(job, request.at_s)
        return job


def prompt(at_s: float, tokens: int, output: int, *names: int) -> TraceRequest:
    return TraceRequest(at_s, tokens, output, names)


def test_cached_blocks_shorten_prefill() -> None:
    bench = Bench(TIMING)
    bench.submit(prompt(0.0, 16, 1, 0, 1, 2, 3))
    again = bench.submit(prompt(10.0, 16, 3, 0, 1, 2, 3))
    bench.advance()

    assert again.cached_tokens == 12
    assert (again.started_at, again.first_token_at, again.finished_at) == (10.0, 10.5, 11.5)


def test_a_crash_loses_cache_and_jobs() -> None:
    bench = Bench(TIMING)
    jobs = [bench.submit(prompt(0.0, 8, 9, number, 10 + number)) for number in range(4)]
    bench.advance(2.0)

    assert bench.engine.crash() == jobs
    assert [job.state for job in jobs] == [JobState.OVER] * 4
    bench.advance()
    assert bench.ended == []
    assert bench.submit(prompt(3.0, 8, 1, 0, 10)).cached_tokens == 0


def test_a_report_tells_what_runs_and_what_waits() -> None:
    bench = Bench(TIMING, cache_blocks=25)
    for number in range(3):
        bench.submit(prompt(0.0, 8, 9, number, 10 + number))
    bench.advance(1.5)
    report = bench.engine.report_load(1.5)

    assert (report.running_requests, report.waiting_requests) == (2, 1)
    assert report.waiting_uncached_tokens == 8
    assert (report.used_tokens, report.token_usage, report.throughput) == (18, 0.18, 2)


def test_without_a_bound_no_share_of_the_cache_is_reported() -> None:
    assert Bench(TIMING).engine.report_load(0.0).token_usage is None


def test_the_text_form_tells_what_runs_and_waits() -> None:
    bench = Bench(TIMING)
    for number in range(3):
        bench.submit(prompt(0.0, 4, 9, number))

    assert repr(bench.engine) == "<EngineModel http://worker-0 running=1 waiting=2>"


def test_a_forgotten_attempt_leaves_no_times_behind() -> None:
    bench = Bench(TIMING)
    job = bench.submit(prompt(0.0, 8, 1, 0, 1))
    bench.advance()
    job.reset()

    assert job.started_at == job.first_token_at == job.finished_at == NEVER
    assert (job.state, job.cached_tokens, job.engine) == (JobState.WAITING, 0, None)


TIMINGS = st.builds(
    EngineTiming,
    prefill_tokens_per_s=st.sampled_from([0.0, 3.0, 1000.0]),
    inter_token_latency_s=st.sampled_from([0.0, 0.01, 1.0]),
    max_running_requests=st.integers(0, 3),
    max_waiting_requests=st.none() | st.integers(0, 3),
)
# Of each request: the pause before it, its hashes, how much is cut from the last block, output.
WORKLOADS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 5.0]),
        st.lists(st.integers(0, 2), max_size=5),
        st.integers(0, BLOCK - 1),
        st.integers(0, 12),
    ),
    max_size=14,
)


@given(TIMINGS, WORKLOADS, st.none() | st.integers(0, 10))
def test_the_model_and_the_simulated_engine_agree_to_the_last_bit(
    timing: EngineTiming,
    workload: list[tuple[float, list[int], int, int]],
    cache_blocks: int | None,
) -> None:
    bench = Bench(timing, cache_blocks)
    capacity = 1_000 if cache_blocks is None else cache_blocks
    engine = Engine(timing, cache=PrefixCache(capacity, BLOCK), capacity_tokens=capacity * BLOCK)
    builder = TraceBuilder(block_size=BLOCK)
    now = 0.0
    for pause_s, hashes, cut, output in workload:
        now += pause_s
        builder.add(now, max(0, len(hashes) * BLOCK - cut), output, hashes)
    fresh = iter(range(10_000, 20_000))
    pairs = []
    for (_, hashes, _, output), request in zip(workload, builder.build().requests, strict=True):
        at = request.at_s
        job = bench.submit(request)
        whole = request.prompt_tokens // BLOCK
        tokens = [number for number in hashes[:whole] for _ in range(BLOCK)]
        tokens += [next(fresh) for _ in range(request.prompt_tokens - len(tokens))]
        try:
            twin = engine.submit(tokens, [next(fresh) for _ in range(output)], at, per_token=False)
        except QueueFull:
            assert job.engine is None
            continue
        assert job.engine is bench.engine
        pairs.append((job, twin))
        bench.advance(at)
        mine, theirs = bench.engine.report_load(at), engine.load(at)
        assert mine.running_requests == theirs.running_requests
        assert mine.waiting_requests == theirs.waiting_requests
        assert mine.waiting_uncached_tokens == theirs.waiting_uncached_tokens
        assert mine.used_tokens == theirs.used_tokens
    bench.advance()
    engine.advance(1e9)
    for job, twin in pairs:
        assert job.started_at == twin.started_at
        assert job.finished_at == twin.finished_at
        assert job.cached_tokens == twin.cached_tokens
        if twin.first_token_at is not None:
            assert job.first_token_at == twin.first_token_at
    assert len(bench.ended) == len(pairs)
