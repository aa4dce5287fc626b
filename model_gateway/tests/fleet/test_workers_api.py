"""`/workers`: create, list, show, replace, change, remove."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pytest
from smg_mock_worker import AnswerStatus, EngineTiming, Hang, MockWorker

pytestmark = pytest.mark.anyio

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NOBODY = "http://127.0.0.1:9"
QUICK_LEAVE = {"health": {"drain_settle_secs": 0}}


async def test_a_created_worker_is_listed_shown_and_routed_to(
    start: Any, connect: Any, worker: MockWorker, http: Any
) -> None:
    async with start() as running:
        async with http.post(running.url + "/workers", json={"url": worker.url}) as answer:
            assert answer.status == 202
            body = await answer.json()
            assert answer.headers["location"] == body["location"]
        worker_id = body["worker_id"]
        assert UUID7.fullmatch(worker_id)
        assert body == {
            "status": "accepted",
            "worker_id": worker_id,
            "url": worker.url,
            "location": f"/workers/{worker_id}",
            "message": "Worker addition queued for background processing",
        }
        control = connect(running)
        info = await control.until(worker_id, lambda info: info["status"] == "ready")
        assert (info["is_healthy"], info["load"], info["priority"], info["cost"]) == (
            True,
            0,
            50,
            1.0,
        )
        status, listing = await control.call("GET", "/workers")
        assert (status, listing["total"]) == (200, 1)
        assert listing["stats"] == {"prefill_count": 0, "decode_count": 0, "regular_count": 1}
        assert listing["workers"][0]["id"] == worker_id
        assert (await control.chat("mock-model"))[::2] == (200, worker.url)


async def test_an_engine_is_described_by_what_it_says(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        worker_id = await control.add(worker.url, labels={"tp_size": "mine", "zone": "a"})
        _, info = await control.call("GET", f"/workers/{worker_id}")

    assert info["runtime_type"] == "sglang"
    assert info["model_id"] == "mock-model"
    assert info["models"] == [
        {
            "id": "mock-model",
            "model_type": ["chat", "completions", "responses", "tools"],
            "hf_model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "context_length": 32768,
            "tokenizer_path": "mock-model",
        }
    ]
    labels = info["labels"]
    assert (labels["zone"], labels["tp_size"]) == ("a", "mine")
    assert labels["dp_size"] == "1"
    assert labels["architectures"] == '["LlamaForCausalLM"]'
    assert labels["served_model_name"] == labels["model_path"] == "mock-model"
    assert labels["version"] == "0.5.6"


async def test_ids_are_the_same_on_every_gateway_and_after_registering_again(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as first, start(worker) as second:
        control = connect(first)
        worker_id = await control.add(worker.url, **QUICK_LEAVE)
        assert (await connect(second).call("GET", f"/workers/{worker_id}"))[0] == 200
        await control.call("DELETE", f"/workers/{worker_id}")
        await control.until_gone(worker_id)
        assert await control.add(worker.url) == worker_id


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "JSON syntax error: "),
        ("[]", "Invalid JSON data: "),
        ("{}", "Invalid JSON data: "),
        ('{"url": 5}', "Invalid JSON data: "),
        ('{"url": ""}', "URL cannot be empty"),
        ('{"url": "HTTP://a"}', "URL must start with a lowercase"),
        ('{"url": "http://"}', "empty host"),
        ('{"url": "http://a/b c"}', "printable ASCII"),
        ('{"url": "http://a/b\\r\\nx: y"}', "printable ASCII"),
        ('{"url": "http://a", "api_key": "k\\r\\nx: y"}', "printable ASCII"),
        ('{"url": "http://u:p@a"}', "credentials"),
        ('{"url": "grpc://a:1"}', "only http:// and https:// workers"),
        ('{"url": "http://a", "connection_mode": "zmq"}', "connection_mode zmq"),
        ('{"url": "http://a", "runtime": "external"}', "runtime_type external"),
        ('{"url": "http://a", "worker_type": "zz"}', "Invalid JSON data: "),
        ('{"url": "http://a", "bootstrap_port": 0}', "must be a port from 1 to 65535"),
        ('{"url": "http://a", "bootstrap_port": 65536}', "must be a port from 1 to 65535"),
        ('{"url": "http://a", "dp_rank": 0}', "dp_rank needs dp_size: "),
        ('{"url": "http://a", "dp_size": 0}', "dp_size must be at least 1"),
        ('{"url": "http://a", "dp_rank": 2, "dp_size": 2}', "dp_rank must be below dp_size"),
        ('{"url": "http://a", "kv_block_size": 0}', "kv_block_size must be at least 1"),
        ('{"url": "http://a", "priority": -1}', "Invalid JSON data: "),
        ('{"url": "http://a", "cost": -1}', "cost must be"),
        ('{"url": "http://a", "models": [{"id": ""}]}', "a model needs an id"),
        ('{"url": "http://a", "health": {"timeout_secs": 0}}', "health.timeout_secs"),
        ('{"url": "http://a", "overload": {"token_usage": 2}}', "overload.token_usage"),
        ('{"url": "http://a", "resilience": {"retryable_status_codes": [9]}}', "Invalid JSON"),
        ('{"url": ' + "[" * 100_000, "JSON"),
    ],
)
async def test_what_cannot_be_a_worker_is_refused_with_the_reason(
    start: Any, connect: Any, body: str, said: str
) -> None:
    async with start() as running:
        status, answer = await connect(running).call("POST", "/workers", data=body)

        assert (status, answer["code"]) == (400, "BAD_REQUEST")
        assert said in answer["error"]
        assert not len(running.gateway.fleet.jobs)


async def test_unknown_fields_are_ignored_and_keys_are_never_shown(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        worker_id = await control.add(worker.url, api_key="hush", nonsense=1)
        status, text = await control.call("GET", f"/workers/{worker_id}")
        assert status == 200
        assert "hush" not in str(text)
        assert "nonsense" not in text
        await control.chat("mock-model")

    keys = {
        path: {n.lower(): v for n, v in worker.requests.to(path)[-1].headers}.get("authorization")
        for path in ("/health", "/v1/models", "/server_info", "/v1/chat/completions")
    }
    assert keys == {
        "/health": None,
        "/v1/models": "Bearer hush",
        "/server_info": "Bearer hush",
        "/v1/chat/completions": "Bearer hush",
    }


async def test_a_url_can_be_taken_only_once(start: Any, connect: Any, worker: MockWorker) -> None:
    async with start() as running:
        control = connect(running)
        await control.add(worker.url)
        status, body = await control.call("POST", "/workers", json={"url": worker.url})
        assert (status, body["code"]) == (409, "WORKER_ALREADY_EXISTS")
        assert "PUT" in body["error"]
        assert "PATCH" in body["error"]

        await control.call("POST", "/workers", json={"url": NOBODY})
        status, body = await control.call("POST", "/workers", json={"url": NOBODY})
        assert (status, body["code"]) == (409, "WORKER_CREATE_IN_PROGRESS")


async def test_a_worker_that_is_not_there_yet_is_pending_and_not_listed(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    url = worker.url
    await worker.stop()
    async with start() as running:
        control = connect(running)
        _, body = await control.call("POST", "/workers", json={"url": url})
        worker_id = body["worker_id"]
        info = await control.until(worker_id, lambda info: info["job_status"]["message"])
        assert (info["status"], info["is_healthy"]) == ("pending", False)
        job = info["job_status"]
        assert (job["job_type"], job["worker_url"], job["status"]) == (
            "AddWorker",
            url,
            "processing",
        )
        assert (await control.call("GET", "/workers"))[1]["total"] == 0

        await worker.start()
        await control.until(worker_id, lambda info: info["status"] == "ready")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"models": [{"id": "m", "tool_parser": "nope"}]}, "Unknown tool parser: nope"),
        ({"labels": {"reasoning_parser": "llama"}}, "Unknown reasoning parser: llama"),
    ],
)
async def test_a_worker_whose_output_nothing_reads_is_not_registered(
    start: Any, connect: Any, worker: Any, said: dict[str, Any], why: str
) -> None:
    async with start() as running:
        control = connect(running)
        _, body = await control.call("POST", "/workers", json={"url": worker.url, **said})
        info = await control.until(body["worker_id"], lambda info: info["status"] == "failed")
        assert info["job_status"]["message"] == why


async def test_a_registration_is_given_up_after_its_attempts_and_says_why(
    start: Any, connect: Any
) -> None:
    async with start() as running:
        control = connect(running)
        spec = {"url": NOBODY, "max_connection_attempts": 2}
        _, body = await control.call("POST", "/workers", json=spec)
        info = await control.until(body["worker_id"], lambda info: info["status"] == "failed")
        assert info["job_status"]["status"] == "failed"
        assert "refused" in info["job_status"]["message"].lower()
        assert not running.gateway.fleet._pool_users
        assert not any(pool.is_busy for pool in running.gateway.fleet._closing_pools)


async def test_a_registration_can_be_called_off(start: Any, connect: Any) -> None:
    async with start() as running:
        control = connect(running)
        _, body = await control.call("POST", "/workers", json={"url": NOBODY})
        one = f"/workers/{body['worker_id']}"
        assert (await control.call("DELETE", one))[0] == 202
        assert (await control.call("GET", one))[0] == 404
        assert (await control.call("DELETE", one))[0] == 404
        assert not len(running.gateway.fleet.jobs)


async def test_ids_are_checked_and_unknown_ones_not_found(start: Any, connect: Any) -> None:
    unknown = "/workers/01890000-0000-7000-8000-000000000000"
    async with start() as running:
        control = connect(running)
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            body = {"json": {"url": "http://a"}} if method in ("PUT", "PATCH") else {}
            status, answer = await control.call(method, "/workers/zzz", **body)
            assert (status, answer["code"]) == (400, "BAD_REQUEST")
            assert answer["error"].startswith("Invalid worker_id 'zzz' (expected UUID). Error: ")
            status, answer = await control.call(method, unknown, **body)
            assert (status, answer["code"]) == (404, "WORKER_NOT_FOUND")
            assert answer["error"] == f"Worker {unknown[9:]} not found"
        status, answer = await control.call("POST", unknown, json={})
        assert status == 405


async def test_a_change_merges_labels_and_replaces_the_rest(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        worker_id = await control.add(worker.url, labels={"a": "1", "b": "1"})
        change = {
            "labels": {"b": "2", "weight": "3"},
            "priority": 7,
            "cost": 2.5,
            "api_key": "new",
            "health": {"timeout_secs": 1, "disable_health_check": True},
            "url": "http://elsewhere",
        }
        status, body = await control.call("PATCH", f"/workers/{worker_id}", json=change)
        assert status == 202
        assert body["message"].startswith("Worker update queued")
        info = await control.until(worker_id, lambda info: info["priority"] == 7)
        assert info["url"] == worker.url
        assert {k: info["labels"][k] for k in ("a", "b", "weight")} == {
            "a": "1",
            "b": "2",
            "weight": "3",
        }
        assert info["cost"] == 2.5
        assert info["health"] == {"timeout_secs": 1, "disable_health_check": True}
        (kept,) = running.gateway.registry.snapshot.workers
        assert (kept.weight, kept.api_key, kept.health.enabled) == (3.0, "new", False)

        status, body = await control.call("PATCH", f"/workers/{worker_id}", json={"priority": "x"})
        assert (status, body["code"]) == (400, "BAD_REQUEST")


async def test_a_replacement_asks_anew_and_keeps_place_id_and_traffic(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start(worker, other) as running:
        control = connect(running)
        _, listing = await control.call("GET", "/workers")
        worker_id = next(w["id"] for w in listing["workers"] if w["url"] == worker.url)
        asked = len(worker.requests.to("/server_info"))
        before = running.gateway.registry.find(worker.url)
        spec = {"url": worker.url, "labels": {"only": "this"}, "models": ["renamed"]}
        status, _ = await control.call("PUT", f"/workers/{worker_id}", json=spec)
        assert status == 202
        info = await control.until(worker_id, lambda info: info["model_id"] == "renamed")
        assert info["labels"]["only"] == "this"
        assert len(worker.requests.to("/server_info")) == asked + 1
        assert len((await control.call("GET", "/workers"))[1]["workers"]) == 2
        assert running.gateway.registry.find(worker.url) is not before

        spec = {"url": other.url}
        status, body = await control.call("PUT", f"/workers/{worker_id}", json=spec)
        assert (status, body["code"]) == (400, "BAD_REQUEST")
        assert "cannot change" in body["error"]


async def test_a_worker_that_leaves_gets_nothing_new_and_ends_its_streams_first(
    start: Any, connect: Any, http: Any, chat: Any
) -> None:
    timing = EngineTiming(inter_token_latency_s=0.02)
    async with MockWorker(timing=timing) as slow, MockWorker() as quick:
        async with start(slow, quick) as running:
            control = connect(running)
            _, listing = await control.call("GET", "/workers")
            worker_id = next(w["id"] for w in listing["workers"] if w["url"] == slow.url)
            await control.call(
                "PATCH", f"/workers/{worker_id}", json={"health": {"drain_settle_secs": 1}}
            )
            await control.until(worker_id, lambda info: info.get("health"))

            async def stream() -> tuple[str, str]:
                body = chat(stream=True, max_tokens=100)
                url = running.url + "/v1/chat/completions"
                async with http.post(url, json=body) as answer:
                    await answer.content.readline()
                    started.set()
                    text = await answer.text()
                    return answer.headers["x-smg-routed-worker-id"], text

            started = asyncio.Event()
            first = asyncio.ensure_future(stream())
            await started.wait()
            if not slow.active_requests:
                await first
                started.clear()
                first = asyncio.ensure_future(stream())
                await started.wait()

            assert (await control.call("DELETE", f"/workers/{worker_id}"))[0] == 202
            _, info = await control.call("GET", f"/workers/{worker_id}")
            assert (info["status"], info["load"]) == ("draining", 1)
            assert info["job_status"]["job_type"] == "RemoveWorker"
            assert {(await control.chat("mock-model"))[2] for _ in range(4)} == {quick.url}
            assert (await control.call("DELETE", f"/workers/{worker_id}"))[0] == 202

            served_by, text = await first
            assert served_by == slow.url
            assert text.endswith("data: [DONE]\n\n")
            await control.until_gone(worker_id)
            assert running.metric(f'smg_worker_health{{worker="{slow.url}"}}') == -1
            assert running.metric(f'smg_worker_requests_active{{worker="{slow.url}"}}') == 0


async def test_a_worker_that_leaves_can_be_registered_again_at_once(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        worker_id = await control.add(worker.url, health={"drain_settle_secs": 1})
        await control.call("DELETE", f"/workers/{worker_id}")
        assert (await control.call("POST", "/workers", json={"url": worker.url}))[0] == 202
        await control.until(worker_id, lambda info: info["status"] == "ready")
        assert (await control.chat("mock-model"))[0] == 200


async def test_the_shared_key_opens_the_control_plane_and_nothing_else_does(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start(worker, api_key="secret") as running:
        for path, method in (("/workers", "GET"), ("/flush_cache", "POST"), ("/get_loads", "GET")):
            assert (await connect(running).call(method, path))[0] == 401
            assert (await connect(running, "wrong").call(method, path))[0] == 401
            assert (await connect(running, "secret").call(method, path))[0] == 200
        status, body = await connect(running).call("POST", "/workers", data=b"x" * 100_000)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")


async def test_bodies_are_bounded_and_may_come_in_chunks(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async def pieces() -> Any:
        for piece in (b'{"url": "', worker.url.encode(), b'"}'):
            yield piece

    async with start() as running:
        control = connect(running)
        status, body = await control.call("POST", "/workers", data=io.BytesIO(b" " * 1_100_000))
        assert (status, body["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert (await control.call("POST", "/workers", data=pieces()))[0] == 202


async def test_a_full_job_queue_is_said_and_ends(start: Any, connect: Any) -> None:
    async with start(job_queue_capacity=2) as running:
        control = connect(running)
        specs = [{"url": f"http://127.0.0.1:9/{n}"} for n in range(3)]
        answers = [await control.call("POST", "/workers", json=spec) for spec in specs]
        assert [status for status, _ in answers] == [202, 202, 503]
        assert answers[2][1]["code"] == "INTERNAL_SERVER_ERROR"
        await control.call("DELETE", f"/workers/{answers[0][1]['worker_id']}")
        assert (await control.call("POST", "/workers", json=specs[2]))[0] == 202


async def test_a_workers_own_statuses_and_thresholds_open_its_breaker(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start(other) as running:
        control = connect(running)
        resilience = {"cb_failure_threshold": 1, "retryable_status_codes": [418]}
        await control.add(worker.url, resilience=resilience)
        for engine in (worker, other):
            engine.faults.add(AnswerStatus(code=418))
        for _ in range(4):
            assert (await control.chat("mock-model"))[0] == 418
        assert running.gateway.registry.find(worker.url).breaker.state.name == "OPEN"
        assert running.gateway.registry.find(other.url).breaker.state.name == "CLOSED"


async def test_a_workers_own_timeout_and_pool_hold_for_it(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start(disable_retries=True) as running:
        control = connect(running)
        pool = {"timeout_secs": 1, "pool_max_idle_per_host": 0}
        await control.add(worker.url, http_pool=pool)
        known = running.gateway.registry.find(worker.url)
        assert known.pool.statistics().idle == 0
        worker.faults.add(Hang(path="/v1/chat/completions"))
        status, body, _ = await control.chat("mock-model")
        assert (status, body["error"]["code"]) == (504, "call_upstream_timeout")
        assert "within 1 s" in body["error"]["message"]
