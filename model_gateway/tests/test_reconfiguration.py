"""Changing settings while requests run: what is taken over, and what is refused as a whole."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from smg_gateway.observability.logs import LogFilter, configure_logging
from smg_gateway.reconfiguration import Reconfigurer
from smg_gateway.settings import ConfigError, FileWatch, Settings, changes, needing_restart
from smg_gateway.wiring import edge_limits
from smg_mock_worker import EngineTiming, Hang, MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log, as JSON lines."""
    stream = io.StringIO()
    configure_logging(LogFilter.parse("", "debug"), as_json=True, stream=stream)
    yield stream
    structlog.reset_defaults()


def records(lines: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = map(json.loads, lines.getvalue().splitlines())
    return [record for record in found if record["event"].startswith(event)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


class Story:
    """Settings that are read one after the other, and what became of them."""

    def __init__(self, first: Settings, *then: Settings | BaseException) -> None:
        self._then = iter(then)
        self.applied: list[Settings] = []
        self.outcomes: list[str] = []
        self.reconfigurer = Reconfigurer(
            first, reread=self._reread, apply=self._apply, outcome=self.outcomes.append
        )

    def _reread(self) -> Settings:
        found = next(self._then)
        if isinstance(found, BaseException):
            raise found
        return found

    async def _apply(self, settings: Settings) -> None:
        if settings.policy == "random":
            raise RuntimeError("a policy that cannot be made")
        self.applied.append(settings)


async def test_changed_settings_are_applied_and_logged_without_secrets(lines: Any) -> None:
    new = Settings(queue_size=5, api_key="sk-hush-hush", worker_urls=("http://w:1",))
    story = Story(Settings(), new)

    assert await story.reconfigurer.reload()

    assert (story.applied, story.outcomes) == ([new], ["applied"])
    assert story.reconfigurer.settings is new
    (record,) = records(lines, "settings changed")
    assert record["changes"] == [
        "worker-urls: unset -> ('http://w:1',)",
        "queue-size: 100 -> 5",
        "api-key: unset -> ***",
    ]
    assert "hush" not in lines.getvalue()


async def test_a_change_that_needs_a_restart_is_refused_with_all_others(lines: Any) -> None:
    old = Settings()
    story = Story(old, Settings(queue_size=5, port=1, host="::1"))

    assert not await story.reconfigurer.reload()

    assert (story.applied, story.outcomes) == ([], ["refused"])
    assert story.reconfigurer.settings is old
    (record,) = records(lines, "settings refused")
    assert record["reason"] == "--host, --port cannot change without a restart"
    assert "queue-size: 100 -> 5" in record["changes"]


@pytest.mark.parametrize("failure", [ConfigError("smg.yaml:3: half a line"), SystemExit(2)])
async def test_settings_that_cannot_be_read_change_nothing(
    failure: BaseException, lines: Any
) -> None:
    story = Story(Settings(), failure, Settings(queue_size=5))

    assert not await story.reconfigurer.reload()
    assert len(records(lines, "settings refused")) == 1
    assert await story.reconfigurer.reload()

    assert story.outcomes == ["refused", "applied"]


async def test_settings_that_cannot_be_applied_stay_out_of_force(lines: Any) -> None:
    old = Settings()
    story = Story(old, Settings(policy="random"), old)

    assert not await story.reconfigurer.reload()
    assert not await story.reconfigurer.reload()

    assert story.outcomes == ["refused", "unchanged"]


def test_what_has_no_effect_needs_no_restart_and_listeners_do() -> None:
    found = changes(Settings(), Settings(jemalloc_prof_dir="/tmp", port=1, retry_max_retries=1))

    assert needing_restart(found) == ["--port"]
    assert [str(change) for change in found] == [
        "port: 30000 -> 1",
        "jemalloc-prof-dir: unset -> /tmp",
        "retry-max-retries: 5 -> 1",
    ]


# --- noticing ------------------------------------------------------------------------------------


def test_a_file_counts_as_changed_once_and_when_it_has_settled(tmp_path: Path) -> None:
    path = tmp_path / "smg.yaml"
    path.write_text("port: 1")
    watch = FileWatch(str(path))
    assert not watch.changed()

    path.write_text("port: 1\nho")
    assert not watch.changed(), "it may still be written"
    path.write_text("port: 1\nhost: a")
    assert not watch.changed()
    assert watch.changed()
    assert not watch.changed()


def test_a_replaced_file_of_the_same_size_and_time_counts_as_changed(tmp_path: Path) -> None:
    path, other = tmp_path / "smg.yaml", tmp_path / "new"
    path.write_text("port: 1")
    other.write_text("port: 2")
    os.utime(other, ns=(1, path.stat().st_mtime_ns))
    watch = FileWatch(str(path))

    other.rename(path)

    assert [watch.changed(), watch.changed()] == [False, True]


def test_a_vanished_file_is_no_change_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "smg.yaml"
    path.write_text("port: 1")
    watch = FileWatch(str(path))

    path.unlink()
    assert [watch.changed(), watch.changed()] == [False, False]
    path.write_text("port: 22")
    assert [watch.changed(), watch.changed()] == [False, True]


def test_a_state_that_was_read_on_demand_is_not_reported_again(tmp_path: Path) -> None:
    path = tmp_path / "smg.yaml"
    path.write_text("port: 1")
    watch = FileWatch(str(path))
    path.write_text("port: 22")

    watch.note()

    assert [watch.changed(), watch.changed()] == [False, False]


async def test_the_file_is_watched_and_a_signal_does_not_wait_for_it(tmp_path: Path) -> None:
    path = tmp_path / "smg.yaml"
    path.write_text("1")
    applied: list[int] = []

    async def apply(settings: Settings) -> None:
        applied.append(settings.queue_size)

    reconfigurer = Reconfigurer(
        Settings(queue_size=1),
        reread=lambda: Settings(queue_size=int(path.read_text())),
        apply=apply,
        watch=FileWatch(str(path)),
        poll_s=0.01,
    )
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(reconfigurer.run())
        path.write_text("2")
        await until(lambda: applied == [2])
        path.write_text("33")
        reconfigurer.ask()
        await until(lambda: applied == [2, 33])
        watching.cancel()


# --- in force ------------------------------------------------------------------------------------


@asynccontextmanager
async def streaming(url: str, http: Any, chat: Any, count: int) -> AsyncIterator[Any]:
    """Streams that run while the block does, and must all end well."""

    async def one() -> str:
        async with http.post(url + CHAT, json=chat(stream=True, max_tokens=30)) as answer:
            assert answer.status == 200
            return str(await answer.text())

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(count)]
        yield tasks
    for task in tasks:
        assert task.result().endswith("data: [DONE]\n\n")


async def put(running: Any, **changed: Any) -> None:
    running.gateway.reconfigure(replace(running.gateway.settings, **changed))
    await running.gateway.follow_workers()


async def test_no_stream_breaks_while_everything_that_can_change_changes(
    start: Any, http: Any, chat: Any
) -> None:
    timing = EngineTiming(inter_token_latency_s=0.005)
    async with (
        MockWorker(timing=timing) as one,
        MockWorker(timing=timing) as two,
        MockWorker(timing=timing) as three,
        start(one, two) as running,
    ):
        async with streaming(running.url, http, chat, 20) as tasks:
            await until(lambda: len(running.gateway.lane.active) == 20)
            await put(
                running,
                policy="cache_aware",
                worker_urls=(two.url, three.url),
                max_concurrent_requests=3,
                retry_max_retries=2,
                request_timeout_secs=7,
                cb_failure_threshold=1,
                health_check_interval_secs=7,
            )
            async with streaming(running.url, http, chat, 5):
                pass
            assert all(not task.cancelled() for task in tasks)
        urls = {worker.url for worker in running.gateway.registry.snapshot.workers}
        await until(lambda: three.url in {w.url for w in running.gateway.registry.snapshot.workers})
        assert one.url not in urls
        await running.settled()
        assert running.gateway.gate.inflight == 0


async def test_a_new_worker_serves_and_a_removed_one_gets_nothing_more(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    async with start(worker) as running:
        await put(running, worker_urls=(other.url,))
        await until(
            lambda: [w.url for w in running.gateway.registry.snapshot.workers] == [other.url]
        )
        for _ in range(3):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.headers["x-smg-routed-worker-id"] == other.url
    assert not worker.requests.to(CHAT)


async def test_a_new_key_replaces_the_old_one_towards_clients_and_workers(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, api_key="old-key") as running:
        await put(running, api_key="new-key")
        for key, status in (("old-key", 401), ("new-key", 200)):
            headers = {"authorization": f"Bearer {key}"}
            async with http.post(running.url + CHAT, json=chat(), headers=headers) as answer:
                assert answer.status == status
        assert [w.api_key for w in running.gateway.registry.snapshot.workers] == ["new-key"]
        await put(running, api_key=None)
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 200
    assert worker.requests.to(CHAT)[-1].header("authorization") is None


async def test_aliases_change_for_requests_and_for_the_model_list(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, model_alias=(("old", "mock-model"),)) as running:
        await put(running, model_alias=(("new", "mock-model"),))
        for name, status in (("old", 404), ("new", 200)):
            async with http.post(running.url + CHAT, json={**chat(), "model": name}) as answer:
                assert answer.status == status
            async with http.get(running.url + f"/v1/models/{name}") as answer:
                assert answer.status == status


async def test_another_policy_decides_from_the_next_request_on(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker) as running:
        for policy in ("round_robin", "random"):
            await put(running, policy=policy)
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 200
        chosen = [record.policy for record in running.gateway.lane.decisions.find()]
    assert chosen == ["random", "round_robin"]


async def test_wider_limits_let_the_queue_in_at_once(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1) as running:
        worker.faults.add(Hang(path=CHAT, count=1))
        async with asyncio.TaskGroup() as group:
            stuck = group.create_task(http.post(running.url + CHAT, json=chat()).__aenter__())
            await until(lambda: worker.active_requests == 1)
            queued = group.create_task(http.post(running.url + CHAT, json=chat()).__aenter__())
            await until(lambda: len(running.gateway.gate) == 1)
            await put(running, max_concurrent_requests=2)
            assert (await queued).status == 200
            stuck.cancel()


async def test_a_policy_that_cannot_be_made_leaves_all_as_it_was(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker) as running:
        before = running.gateway.settings
        with pytest.raises(Exception, match="no_such_module"):
            await put(running, policy="no_such_module:Policy", queue_size=1, api_key="k")
        assert running.gateway.settings is before
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 200


async def test_load_monitoring_begins_when_something_needs_it(start: Any, worker: Any) -> None:
    quiet = {"disable_worker_overload_protection": True, "disable_load_monitoring": True}
    async with start(worker, **quiet, load_monitor_interval=1) as running:
        (registered,) = running.gateway.registry.snapshot.workers
        assert registered.report is None
        await put(running, disable_worker_overload_protection=False)
        await until(lambda: registered.report is not None)


async def test_connections_that_are_open_get_the_new_bounds(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 200
        smaller = replace(running.gateway.settings, max_payload_size=10)
        running.listener.reconfigure(edge_limits(smaller))
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 413


async def test_the_legs_of_disaggregated_requests_follow_the_policy(start: Any) -> None:
    async with start(policy="round_robin", decode_policy="random") as running:
        await put(running, policy="power_of_two", decode_policy="round_robin")
        selectors = (running.gateway.lane.selector, *running.gateway._legs)
        names = [policy.name for selector in selectors for policy in selector.policies]
    assert names == ["power_of_two", "power_of_two", "round_robin"]
