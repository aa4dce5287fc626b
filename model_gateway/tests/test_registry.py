"""Snapshots of the fleet."""

from __future__ import annotations

import pytest
from smg_gateway.upstream import Pool, PoolLimits, parse_origin
from smg_gateway.workers import (
    BreakerConfig,
    CircuitBreaker,
    HealthConfig,
    Registry,
    Snapshot,
    Worker,
    WorkerStatus,
)
from smg_gateway.workers.health import judge


def make(url: str, *models: str) -> Worker:
    pool = Pool(parse_origin(url), limits=PoolLimits(), clock=lambda: 0.0)
    breaker = CircuitBreaker(BreakerConfig(), lambda old, new: None)
    return Worker(url=url, models=models, pool=pool, breaker=breaker)


def test_a_model_is_served_by_those_who_name_it_and_by_those_who_take_any() -> None:
    a, b, c = make("http://a", "x"), make("http://b", "x", "y"), make("http://c")
    snapshot = Snapshot.of([a, b, c])
    assert snapshot.serving("x") == (a, b, c)
    assert snapshot.serving("y") == (b, c)
    assert snapshot.serving("unheard-of") == (c,)
    assert snapshot.serving(None) == (a, b, c)


def test_a_change_is_one_swap_that_old_readers_do_not_notice() -> None:
    registry = Registry()
    seen: list[tuple[int, int]] = []
    registry.on_change(lambda old, new: seen.append((len(old.workers), len(new.workers))))
    worker = make("http://a", "x")
    registry.add(worker)
    before = registry.snapshot
    registry.remove(worker)

    assert before.serving("x") == (worker,)
    assert registry.snapshot.serving("x") == ()
    assert worker.status is WorkerStatus.DRAINING
    assert seen == [(0, 1), (1, 0)]


def test_a_url_is_registered_once() -> None:
    registry = Registry()
    registry.add(make("http://a"))
    with pytest.raises(ValueError, match="already registered"):
        registry.add(make("http://a"))


def test_health_needs_several_answers_in_a_row_to_change_its_mind() -> None:
    worker, config = make("http://a"), HealthConfig(failure_threshold=3, success_threshold=2)

    def probe(answers: str) -> list[WorkerStatus]:
        states = []
        for answer in answers:
            worker.status = judge(worker, answer == "+", config)
            states.append(worker.status)
        return states

    ready, not_ready = WorkerStatus.READY, WorkerStatus.NOT_READY
    assert probe("--+---") == [ready] * 5 + [not_ready]
    assert probe("+-++") == [not_ready] * 3 + [ready]


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "shown"),
    [
        ("http://h:1", "h", 1, b"", b"h:1"),
        ("http://h", "h", 80, b"", b"h"),
        ("https://h/base/", "h", 443, b"/base", b"h"),
        ("http://[::1]:5", "::1", 5, b"", b"[::1]:5"),
    ],
)
def test_origins_of_urls(url: str, host: str, port: int, prefix: bytes, shown: bytes) -> None:
    origin = parse_origin(url)
    assert (origin.host, origin.port, origin.prefix, origin.host_header) == (
        host,
        port,
        prefix,
        shown,
    )


@pytest.mark.parametrize("url", ["grpc://h:1", "h:1", "http://", "http://h:x"])
def test_other_urls_have_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_origin(url)
