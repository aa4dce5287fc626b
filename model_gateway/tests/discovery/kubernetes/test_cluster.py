"""Following the pods of a cluster through the Kubernetes client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from smg_gateway.discovery import ClusterConfig, ClusterPods, PodRules
from smg_gateway.discovery.pod_api import PodApi

pytestmark = pytest.mark.anyio

RULES = PodRules(roles=(("regular", (("app", "engine"),)),), port=8000)


class Reader:
    """Pulls snapshots as discovery does; `last` is what discovery would act on."""

    def __init__(self) -> None:
        self.last: set[str] | None = None
        self.seen: list[set[str]] = []
        self._news = asyncio.Event()

    async def follow(self, provider: ClusterPods) -> None:
        async for snapshot in provider.snapshots():
            self.last = {worker.url for worker in snapshot.values()}
            self.seen.append(self.last)
            self._news.set()

    async def until(self, *hosts: str) -> None:
        expected = {f"http://{host}:8000" for host in hosts}
        async with asyncio.timeout(5):
            while self.last != expected:
                self._news.clear()
                await self._news.wait()


Read = Callable[..., AbstractAsyncContextManager[Reader]]


@pytest.fixture
def read(kubeconfig: str, heard: Any) -> Read:
    """Follows the cluster: `async with read(namespace=...) as reader`."""

    @asynccontextmanager
    async def reading(
        namespace: str | None = "default",
        rules: PodRules = RULES,
        watch_timeout_s: float = 300.0,
        path: str = kubeconfig,
        **options: Any,
    ) -> AsyncIterator[Reader]:
        config = ClusterConfig(
            namespace=namespace,
            label_selector=rules.label_selector,
            watch_timeout_s=watch_timeout_s,
        )

        async def connect(config: ClusterConfig) -> PodApi:
            return await PodApi.connect(config, {"KUBECONFIG": path})

        quick = {"first_pause_s": 0.02, "max_pause_s": 0.1, **options}
        reader = Reader()
        provider = ClusterPods(config, rules, heard, connect=connect, **quick)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(reader.follow(provider))
            yield reader
            task.cancel()

    return reading


async def test_pods_that_are_there_and_pods_that_come_and_go(
    read: Read, cluster: Any, pod: Any, heard: Any
) -> None:
    cluster.put(pod("a", ip="10.0.0.1"))
    cluster.put(pod("x", ip="10.0.0.9", labels={"app": "other"}))
    async with read() as reader:
        await reader.until("10.0.0.1")
        cluster.put(pod("b", ip="10.0.0.2"))
        await reader.until("10.0.0.1", "10.0.0.2")
        cluster.put(pod("b", ip="10.0.0.2", ready="False"))
        await reader.until("10.0.0.1")
        cluster.put(pod("b", ip="10.0.0.2"))
        await reader.until("10.0.0.1", "10.0.0.2")
        cluster.put(pod("b", ip="10.0.0.2", labels={"app": "other"}))
        await reader.until("10.0.0.1")
        cluster.put(pod("a", ip="10.0.0.1", deleted=True))
        await reader.until()
        cluster.delete("a")
        cluster.put(pod("c", ip="10.0.0.3"))
        await reader.until("10.0.0.3")

    assert not heard.failures
    assert len(cluster.lists) == len(cluster.watches) == 1


async def test_requests_carry_selector_credentials_and_version(
    read: Read, cluster: Any, pod: Any
) -> None:
    cluster.put(pod("a"))
    async with read() as reader:
        await reader.until("10.0.0.1")
        await cluster.until(lambda: cluster.watching)

    assert cluster.keys == ["Bearer let-me-in"] * 2
    assert cluster.lists == [{"limit": "100", "labelSelector": "app=engine"}]
    assert cluster.watches == [
        {
            "watch": "True",
            "resourceVersion": str(cluster.version),
            "allowWatchBookmarks": "True",
            "timeoutSeconds": "300",
            "labelSelector": "app=engine",
        }
    ]


async def test_only_the_namespace_that_was_named_is_looked_at(
    read: Read, cluster: Any, pod: Any
) -> None:
    cluster.put(pod("a", ip="10.0.0.1", namespace="mine"))
    cluster.put(pod("a", ip="10.0.0.2", namespace="yours", uid="another"))
    async with read("mine") as reader:
        await reader.until("10.0.0.1")
    async with read(None) as reader:
        await reader.until("10.0.0.1", "10.0.0.2")


async def test_long_lists_come_in_pages(read: Read, cluster: Any, pod: Any) -> None:
    hosts = [f"10.0.{number // 100}.{number % 100}" for number in range(250)]
    for number, host in enumerate(hosts):
        cluster.put(pod(f"engine-{number:03}", ip=host))
    async with read() as reader:
        await reader.until(*hosts)

    assert [query.get("continue") for query in cluster.lists] == [None, "100", "200"]


async def test_events_that_arrive_in_pieces_are_put_together(
    read: Read, cluster: Any, pod: Any
) -> None:
    cluster.fragments = True
    async with read() as reader:
        await reader.until()
        await cluster.until(lambda: cluster.watching)
        for number in range(1, 20):
            cluster.put(pod(f"engine-{number}", ip=f"10.0.0.{number}"))
        await reader.until(*(f"10.0.0.{number}" for number in range(1, 20)))


@pytest.mark.parametrize("trouble", ["end_watches", "break_watches"])
async def test_a_watch_that_ends_goes_on_where_it_ended(
    read: Read, cluster: Any, pod: Any, trouble: str
) -> None:
    async with read() as reader:
        await cluster.until(lambda: cluster.watching)
        cluster.put(pod("a", ip="10.0.0.1"))
        await reader.until("10.0.0.1")
        seen = str(cluster.version)
        getattr(cluster, trouble)()
        cluster.put(pod("b", ip="10.0.0.2"))
        cluster.delete("a")
        await reader.until("10.0.0.2")

    assert len(cluster.lists) == 1
    assert cluster.watches[-1]["resourceVersion"] >= seen


async def test_bookmarks_say_where_to_go_on(read: Read, cluster: Any) -> None:
    async with read():
        await cluster.until(lambda: cluster.watching)
        cluster.bookmark()
        marked = str(cluster.version)
        cluster.end_watches()
        await cluster.until(lambda: len(cluster.watches) == 2)

    assert cluster.watches[-1]["resourceVersion"] == marked


@pytest.mark.parametrize("as_status", [True, False], ids=["as a status", "as an event"])
async def test_a_version_that_is_gone_makes_the_pods_be_listed_again(
    read: Read, cluster: Any, pod: Any, heard: Any, as_status: bool
) -> None:
    cluster.gone_as_status = as_status
    cluster.put(pod("a", ip="10.0.0.1"))
    async with read() as reader:
        await reader.until("10.0.0.1")
        await cluster.until(lambda: cluster.watching)
        cluster.break_watches()
        cluster.delete("a")
        cluster.put(pod("b", ip="10.0.0.2"))
        cluster.forget()
        await reader.until("10.0.0.2")

    assert len(cluster.lists) == 2
    assert all(reason == "unreadable" for reason, _ in heard.failures)


async def test_a_server_that_always_forgets_is_not_asked_without_a_pause(
    read: Read, cluster: Any
) -> None:
    cluster.forgotten = 10**9
    async with read(first_pause_s=60, max_pause_s=60):
        await cluster.until(lambda: len(cluster.watches) == 2)
        await asyncio.sleep(0.2)

        assert len(cluster.lists) == len(cluster.watches) == 2


@pytest.mark.parametrize("code", [500, 504])
async def test_a_watch_that_fails_leads_to_a_new_list(
    read: Read, cluster: Any, pod: Any, heard: Any, code: int
) -> None:
    async with read() as reader:
        await cluster.until(lambda: cluster.watching)
        cluster.fail_watches(code)
        cluster.put(pod("a", ip="10.0.0.1"))
        await reader.until("10.0.0.1")

    assert heard.failures == [("invalid", f"the watch failed: the fake says {code}")]


@pytest.mark.parametrize("line", [b"<html>\n", b'{"type": "ADDED"}\n'])
async def test_nonsense_in_a_watch_leads_to_a_new_list(
    read: Read, cluster: Any, heard: Any, line: bytes
) -> None:
    async with read():
        await cluster.until(lambda: cluster.watching)
        cluster.say(line)
        await cluster.until(lambda: len(cluster.lists) == 2)

    assert [reason for reason, _ in heard.failures] == ["invalid"]


async def test_while_the_server_is_away_the_last_workers_stay(
    read: Read, cluster: Any, pod: Any, heard: Any
) -> None:
    cluster.put(pod("a", ip="10.0.0.1"))
    async with read() as reader:
        await reader.until("10.0.0.1")
        await cluster.until(lambda: cluster.watching)
        await cluster.stop()
        await heard.until(lambda: len(heard.failures) >= 3)
        assert reader.last == {"http://10.0.0.1:8000"}
        cluster.put(pod("b", ip="10.0.0.2"))
        await cluster.start()
        await reader.until("10.0.0.1", "10.0.0.2")

    assert {reason for reason, _ in heard.failures} == {"unreadable"}
    assert reader.seen == [
        {"http://10.0.0.1:8000"},
        {"http://10.0.0.1:8000", "http://10.0.0.2:8000"},
    ]


async def test_a_server_that_comes_up_late_is_awaited(
    read: Read, cluster: Any, pod: Any, heard: Any
) -> None:
    await cluster.stop()
    async with read() as reader:
        await heard.until(lambda: bool(heard.failures))
        assert reader.last is None
        cluster.put(pod("a", ip="10.0.0.1"))
        await cluster.start()
        await reader.until("10.0.0.1")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(401, "forbidden"), (403, "forbidden"), (429, "unreadable"), (500, "unreadable")],
)
async def test_refused_lists_are_tried_again_and_say_why(
    read: Read, cluster: Any, pod: Any, heard: Any, code: int, reason: str
) -> None:
    cluster.refusals = [code, code]
    cluster.put(pod("a", ip="10.0.0.1"))
    async with read() as reader:
        await reader.until("10.0.0.1")

    told = f"the API server answered {code}: the fake says {code}"
    assert heard.failures == [(reason, told)] * 2


async def test_a_page_that_expires_makes_the_list_begin_anew(
    read: Read, cluster: Any, pod: Any
) -> None:
    cluster.refusals = [410]
    cluster.put(pod("a", ip="10.0.0.1"))
    async with read() as reader:
        await reader.until("10.0.0.1")

    assert len(cluster.lists) == 2


async def test_now_and_then_everything_is_listed_anew(
    read: Read, cluster: Any, pod: Any, heard: Any
) -> None:
    async with read(relist_s=0.0) as reader:
        await cluster.until(lambda: cluster.watching)
        cluster.put(pod("a", ip="10.0.0.1"))
        await reader.until("10.0.0.1")
        cluster.end_watches()
        await cluster.until(lambda: len(cluster.lists) == 2)

    assert not heard.failures


async def test_a_kubeconfig_that_is_written_late_is_awaited(
    read: Read, cluster: Any, pod: Any, heard: Any, kubeconfig: str, tmp_path: Path
) -> None:
    cluster.put(pod("a", ip="10.0.0.1"))
    late = tmp_path / "late"
    async with read(path=str(late)) as reader:
        await heard.until(lambda: bool(heard.failures))
        late.symlink_to(kubeconfig)
        await reader.until("10.0.0.1")

    assert heard.failures[0][1].startswith("no access to a cluster is configured: ")


def renew_token(path: Path) -> None:
    path.write_text(path.read_text().replace("let-me-in", "please"))


async def test_credentials_are_read_again_after_a_refusal(
    read: Read, cluster: Any, heard: Any, kubeconfig: str
) -> None:
    cluster.refusals = [401]
    path = Path(kubeconfig)
    async with read(first_pause_s=0.2):
        await heard.until(lambda: bool(heard.failures))
        renew_token(path)
        await cluster.until(lambda: len(cluster.lists) == 2)

    assert cluster.keys[:2] == ["Bearer let-me-in", "Bearer please"]


async def test_a_pod_that_changes_its_role_changes_its_type_at_once(
    read: Read, cluster: Any, pod: Any
) -> None:
    rules = PodRules(
        roles=(("prefill", (("role", "prefill"),)), ("decode", (("role", "decode"),))), port=8000
    )
    cluster.put(pod("a", ip="10.0.0.1", labels={"role": "prefill"}))
    async with read(rules=rules) as reader:
        await reader.until("10.0.0.1")
        cluster.put(pod("a", ip="10.0.0.1", labels={"role": "decode"}))
        cluster.put(pod("b", ip="10.0.0.2", labels={"role": "decode"}))
        await reader.until("10.0.0.1", "10.0.0.2")

    assert all("http://10.0.0.1:8000" in urls for urls in reader.seen)
    assert cluster.lists[0]["labelSelector"] == "role in (decode,prefill)"


async def test_leaving_closes_the_watch(read: Read, cluster: Any) -> None:
    async with read():
        await cluster.until(lambda: cluster.watching)
    async with asyncio.timeout(5):
        while cluster.watching:
            cluster.bookmark()
            await asyncio.sleep(0.01)
