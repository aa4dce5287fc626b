"""Which routes answer, and the plain ones' answers, over HTTP."""

import asyncio
from typing import Any

import aiohttp
import pytest
from smg_mock_worker.engine import EngineTiming
from smg_mock_worker.errors import Flavour
from smg_mock_worker.records import Outcome
from smg_mock_worker.routes import find_route, route_table
from smg_mock_worker.server import MockWorker

pytestmark = pytest.mark.anyio

SGLANG_ONLY = {
    "/generate",
    "/health_generate",
    "/get_model_info",
    "/model_info",
    "/get_server_info",
    "/server_info",
    "/loads",
    "/v1/loads",
    "/get_load",
    "/v1/tokenize",
    "/v1/detokenize",
    "/flush_cache",
    "/abort_request",
}
VLLM_ONLY = {
    "/version",
    "/load",
    "/ping",
    "/rerank",
    "/v2/rerank",
    "/classify",
    "/reset_prefix_cache",
}
LONG = {"messages": [{"role": "user", "content": "word " * 40}], "max_tokens": 2}


async def fetch(
    session: aiohttp.ClientSession, method: str, url: str, body: object = None
) -> tuple[int, str, Any]:
    """Status, content type and decoded body of an answer."""
    async with session.request(method, url, json=body) as answer:
        if answer.content_type == "application/json":
            return answer.status, answer.content_type, await answer.json()
        return answer.status, answer.content_type, await answer.text()


def test_the_flavours_differ_in_their_routes() -> None:
    sglang, vllm = set(route_table(Flavour.SGLANG)), set(route_table(Flavour.VLLM))

    assert sglang - vllm == SGLANG_ONLY
    assert vllm - sglang == VLLM_ONLY


def test_a_model_id_may_contain_slashes() -> None:
    table = route_table(Flavour.SGLANG)

    assert find_route(table, "/v1/models/org/model") is not None
    assert find_route(table, "/v1/models/") is None
    assert find_route(table, "/v1/other") is None


@pytest.mark.parametrize("path", ["/health", "/health_generate"])
async def test_health_is_an_empty_200(session: aiohttp.ClientSession, path: str) -> None:
    async with MockWorker() as worker, session.get(worker.url + path) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_models_can_be_listed_and_looked_up(session: aiohttp.ClientSession) -> None:
    async with MockWorker(model=["m", "org/n"]) as worker:
        url = f"{worker.url}/v1/models"
        _, _, listed = await fetch(session, "GET", url)
        _, _, one = await fetch(session, "GET", f"{url}/org/n")
        status, _, refusal = await fetch(session, "GET", f"{url}/nope")

    assert [model["id"] for model in listed["data"]] == ["m", "org/n"]
    assert one == listed["data"][1]
    assert (status, refusal["code"]) == (404, 404)


async def test_server_info_tells_the_real_address(session: aiohttp.ClientSession) -> None:
    async with MockWorker(timing=EngineTiming(max_running_requests=7)) as worker:
        _, _, info = await fetch(session, "GET", f"{worker.url}/get_server_info")
        _, _, model = await fetch(session, "GET", f"{worker.url}/model_info")

        assert (info["host"], info["port"]) == ("127.0.0.1", worker.port)
    assert info["max_running_requests"] == 7
    assert model["model_path"] == "mock-model"


async def test_loads_show_a_running_request(session: aiohttp.ClientSession) -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        streaming = {**LONG, "stream": True}
        async with session.post(f"{worker.url}/v1/chat/completions", json=streaming):
            _, _, loads = await fetch(session, "GET", f"{worker.url}/v1/loads?include=core,queues")
            _, _, old = await fetch(session, "GET", f"{worker.url}/get_load")
            _, kind, metrics = await fetch(session, "GET", f"{worker.url}/metrics")

    assert loads["loads"][0]["num_running_reqs"] == 1
    assert loads["loads"][0]["queues"]["waiting"] == 0
    assert loads["timestamp"].endswith("+00:00")
    assert old[0]["num_reqs"] == 1
    assert kind == "text/plain"
    assert 'sglang:num_running_reqs{model_name="mock-model",dp_rank="0"} 1\n' in metrics


async def test_vllm_tells_its_version_and_load(session: aiohttp.ClientSession) -> None:
    async with MockWorker(flavour="vllm") as worker:
        assert "version" in (await fetch(session, "GET", f"{worker.url}/version"))[2]
        assert (await fetch(session, "GET", f"{worker.url}/load"))[2] == {"server_load": 0}
        assert (await fetch(session, "GET", f"{worker.url}/ping"))[0] == 200


@pytest.mark.parametrize(("flavour", "field"), [("sglang", "text"), ("vllm", "prompt")])
async def test_text_survives_tokenizing_and_detokenizing(
    session: aiohttp.ClientSession, flavour: str, field: str
) -> None:
    text = "the quiet river\n"
    async with MockWorker(flavour=flavour) as worker:
        _, _, encoded = await fetch(session, "POST", f"{worker.url}/tokenize", {"prompt": text})
        body = {"tokens": encoded["tokens"]}
        _, _, decoded = await fetch(session, "POST", f"{worker.url}/detokenize", body)

    assert encoded["count"] == len(encoded["tokens"]) == 4
    assert decoded == {field: text}


async def test_generated_ids_can_be_detokenized(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        _, _, answer = await fetch(session, "POST", f"{worker.url}/generate", {"text": "hello"})
        body = {"tokens": answer["output_ids"]}
        _, _, decoded = await fetch(session, "POST", f"{worker.url}/detokenize", body)

    assert decoded["text"] == answer["text"]


@pytest.mark.parametrize(
    ("flavour", "method", "path"),
    [
        ("sglang", "POST", "/flush_cache"),
        ("sglang", "GET", "/flush_cache"),
        ("vllm", "POST", "/reset_prefix_cache"),
    ],
)
async def test_flushing_empties_the_cache(
    session: aiohttp.ClientSession, flavour: str, method: str, path: str
) -> None:
    async with MockWorker(flavour=flavour) as worker:
        cache = worker.state.pacers[0].engine.cache
        await fetch(session, "POST", f"{worker.url}/v1/chat/completions", LONG)
        assert len(cache) > 0

        assert (await fetch(session, method, worker.url + path))[0] == 200
        assert len(cache) == 0


async def test_profiling_is_started_and_stopped(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        statuses = [
            (await fetch(session, "POST", worker.url + path))[0]
            for path in ("/stop_profile", "/start_profile", "/stop_profile")
        ]

    assert statuses == [400, 200, 200]


async def test_tokens_of_a_message_are_counted(session: aiohttp.ClientSession) -> None:
    body = {"model": "mock-model", "messages": [{"role": "user", "content": "hello"}]}
    async with MockWorker() as worker:
        url = f"{worker.url}/v1/messages/count_tokens"
        assert await fetch(session, "POST", url, body) == (
            200,
            "application/json",
            {"input_tokens": 3},
        )
        status, _, refusal = await fetch(session, "POST", url, {})

    assert (status, refusal["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("body", [{"rid": "job-"}, {"abort_all": True}])
async def test_an_aborted_stream_ends_early_but_well(
    session: aiohttp.ClientSession, body: dict[str, object]
) -> None:
    streaming = {**LONG, "stream": True, "rid": "job-1"}
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        async with session.post(f"{worker.url}/v1/chat/completions", json=streaming) as answer:
            await fetch(session, "POST", f"{worker.url}/abort_request", body)
            text = await answer.text()

        assert text.endswith("data: [DONE]\n\n")
        assert worker.requests[0].outcome is Outcome.COMPLETED


async def test_other_requests_are_not_aborted(session: aiohttp.ClientSession) -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        streaming = {**LONG, "stream": True, "rid": "job-1"}
        async with session.post(f"{worker.url}/v1/chat/completions", json=streaming):
            for body in ({"rid": "task-"}, {}):
                await fetch(session, "POST", f"{worker.url}/abort_request", body)

            assert worker.active_requests == 1


async def test_an_aborted_whole_answer_is_an_error(session: aiohttp.ClientSession) -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        chat = f"{worker.url}/v1/chat/completions"
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(fetch(session, "POST", chat, LONG))
            await worker.requests.wait_for(lambda one: True)
            await fetch(session, "POST", f"{worker.url}/abort_request", {"abort_all": True})

    status, _, body = asking.result()
    assert (status, body["message"]) == (400, "The request was aborted.")
