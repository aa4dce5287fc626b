"""What passes through the relay lane, and what the gateway adds."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from smg_mock_worker import AnswerStatus, EngineTiming, MockWorker, Outcome

from .conftest import last_posted

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


async def test_the_body_reaches_the_worker_byte_for_byte(
    start: Any, worker: Any, http: Any
) -> None:
    odd = b'{ "model" :"mock-model",\n "messages":[{"role":"user","content":"\\u0068i"}], "x":{"y":[1.0]}}'

    async with (
        start(worker) as running,
        http.post(running.url + CHAT + "?trace=1&x=%20", data=odd, headers=JSON) as answer,
    ):
        assert answer.status == 200

    seen = last_posted(worker)
    assert seen.body == odd
    assert seen.query == "trace=1&x=%20"


async def test_end_to_end_headers_pass_and_hop_by_hop_headers_do_not(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    headers = {
        "Authorization": "Bearer client",
        "X-Request-Id": "mine-1",
        "X-Custom": "kept",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "Connection": "keep-alive, X-Private",
        "X-Private": "hop",
        "TE": "trailers",
        "Cookie": "session=secret",
        "Accept-Encoding": "gzip",
        "X-SMG-Priority": "bulk",
    }

    async with (
        start(worker) as running,
        http.post(running.url + CHAT, json=chat(), headers=headers) as answer,
    ):
        assert answer.headers["x-request-id"] == "mine-1"

    seen = last_posted(worker)
    kept = ("authorization", "x-request-id", "x-custom", "traceparent")
    assert [seen.header(name) for name in kept] == [
        "Bearer client",
        "mine-1",
        "kept",
        headers["traceparent"],
    ]
    dropped = ("x-private", "te", "cookie", "accept-encoding", "x-smg-priority", "connection")
    assert [seen.header(name) for name in dropped] == [None] * len(dropped)


async def test_a_generated_request_id_is_not_sent_to_the_worker(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with (
        start(worker) as running,
        http.post(running.url + CHAT, json=chat(), headers={"x-request-id": "bad id"}) as answer,
    ):
        made = answer.headers["x-request-id"]

    assert made.startswith("chatcmpl-") and len(made) == len("chatcmpl-") + 24
    # An unusable id is the client's own header all the same, and passes.
    assert last_posted(worker).header("x-request-id") == "bad id"


async def test_answers_carry_the_workers_headers_and_name_the_worker(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with (
        start(worker) as running,
        http.post(running.url + CHAT, json=chat()) as answer,
        http.post(worker.url + CHAT, json=chat()) as direct,
    ):
        assert answer.headers["x-smg-routed-worker-id"] == worker.url
        assert answer.headers["server"] == direct.headers["server"]
        assert answer.headers["content-type"] == direct.headers["content-type"]
        through, straight = await answer.json(), await direct.json()

    assert through["choices"] == straight["choices"]


async def test_a_stream_arrives_event_by_event_as_the_worker_sends_it(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    body = chat(stream=True, max_tokens=20)

    async with (
        start(worker) as running,
        http.post(running.url + CHAT, json=body) as answer,
        http.post(worker.url + CHAT, json=body) as direct,
    ):
        through = [line async for line in answer.content if line.startswith(b"data: {")]
        straight = [line async for line in direct.content if line.startswith(b"data: {")]

    def deltas(lines: list[bytes]) -> list[bytes]:
        return [line.split(b'"choices":')[1] for line in lines]

    assert deltas(through) == deltas(straight)
    assert len(through) == 22


async def test_an_http_1_0_client_gets_an_unframed_stream_and_a_close(
    start: Any, worker: Any, chat: Any
) -> None:
    body = b'{"model":"mock-model","stream":true,"max_tokens":2,"messages":[{"role":"user","content":"x"}]}'

    async with start(worker) as running:
        answer = await running.raw(
            b"POST %b HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (CHAT.encode(), len(body), body)
        )

    head, _, payload = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert payload.startswith(b"data: {") and payload.endswith(b"data: [DONE]\n\n")


async def test_pipelined_requests_are_answered_in_order(start: Any, worker: Any) -> None:
    def request(content: str, last: bool) -> bytes:
        body = (
            b'{"model":"mock-model","messages":[{"role":"user","content":"%b"}]}' % content.encode()
        )
        close = b"connection: close\r\n" if last else b""
        return (
            b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n%b"
            b"x-request-id: id-%b\r\ncontent-length: %d\r\n\r\n%b"
            % (CHAT.encode(), close, content.encode(), len(body), body)
        )

    async with start(worker) as running:
        answer = await running.raw(request("a", False) + request("b", False) + request("c", True))

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"id-a") < answer.index(b"id-b") < answer.index(b"id-c")


async def test_two_workers_take_turns(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    async with start(worker, other) as running:
        for _ in range(6):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 200

    posts = [sum(r.method == "POST" for r in w.requests) for w in (worker, other)]
    assert posts == [3, 3]


async def test_a_model_nobody_serves_is_not_found(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with (
        start(worker) as running,
        http.post(running.url + CHAT, json=chat(model="nope")) as answer,
    ):
        assert answer.status == 404
        assert answer.headers["x-smg-error-code"] == "model_not_found"
        assert await answer.json() == {
            "error": {
                "type": "invalid_request_error",
                "code": "model_not_found",
                "message": "No worker available for model 'nope'",
                "param": None,
            }
        }


async def test_an_alias_reaches_the_worker_as_the_model_it_stands_for(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, model_alias=(("fast", "mock-model"),)) as running:
        async with http.post(running.url + CHAT, json=chat(model="fast", extra=1)) as answer:
            assert answer.status == 200
        async with http.get(running.url + "/v1/models/fast") as card:
            assert (await card.json())["id"] == "mock-model"

    assert last_posted(worker).body == (
        b'{"model":"mock-model","messages":[{"role": "user", "content": "hello"}],"extra":1}'
    )


async def test_invalid_requests_are_refused_before_any_worker_sees_them(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker) as running:
        async with http.post(running.url + CHAT, json=chat(temperature=9)) as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["code"], error["param"]) == (
                400,
                "decimal_above_max_value",
                "temperature",
            )
        async with http.post(running.url + "/v1/embeddings", data=b"{", headers=JSON) as answer:
            assert answer.status == 400
            assert answer.content_type == "text/plain"

    assert not [r for r in worker.requests if r.method == "POST"]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
async def test_rerank_answers_in_the_gateways_shape(
    start: Any, http: Any, worker: Any, path: str
) -> None:
    body = {"model": "mock-model", "query": "q", "documents": ["one", "two", "three"], "top_k": 2}

    async with start(worker) as running, http.post(running.url + path, json=body) as answer:
        reply = await answer.json()

    assert answer.status == 200
    assert "x-smg-routed-worker-id" not in answer.headers
    limited = path == "/rerank"
    assert len(reply["results"]) == (2 if limited else 3)
    assert set(reply["results"][0]) - {"meta_info"} == {"score", "document", "index"}
    assert reply["model"] == ("mock-model" if limited else "unknown")
    assert (reply["usage"], reply["object"], reply["id"]) == (None, "rerank", None)
    assert last_posted(worker).path == "/v1/rerank"


async def test_a_workers_error_on_messages_is_told_in_the_messages_envelope(
    start: Any, worker: Any, http: Any
) -> None:
    body = {"model": "mock-model", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    worker.faults.add(AnswerStatus(code=422, body='{"message": "too odd"}', path="/v1/messages"))

    async with (
        start(worker) as running,
        http.post(
            running.url + "/v1/messages", json=body, headers={"x-request-id": "r1"}
        ) as answer,
    ):
        assert answer.status == 422
        assert await answer.json() == {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "too odd"},
            "request_id": "r1",
        }


async def test_a_transcription_form_is_relayed_whole(start: Any, worker: Any, http: Any) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"RIFF" + bytes(range(256)) * 40, filename="a.wav")
    form.add_field("model", "mock-model")

    async with (
        start(worker) as running,
        http.post(running.url + "/v1/audio/transcriptions", data=form) as answer,
    ):
        assert answer.status == 200
        assert (await answer.json())["text"]


async def test_a_transcription_without_a_model_is_refused_in_plain_text(
    start: Any, worker: Any, http: Any
) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"RIFF", filename="a.wav")

    async with (
        start(worker) as running,
        http.post(running.url + "/v1/audio/transcriptions", data=form) as answer,
    ):
        assert answer.status == 400
        assert await answer.text() == "Missing required 'model' field"


async def test_the_api_key_guards_the_inference_routes_alone(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, api_key="s3cret") as running:
        url = running.url + CHAT
        async with http.post(url, json=chat()) as missing:
            assert missing.status == 401
            assert missing.headers["www-authenticate"] == 'Bearer realm="data-plane"'
        wrong_key = {"authorization": "Bearer nope"}
        async with http.post(url, json=chat(), headers=wrong_key) as wrong:
            assert (await wrong.json())["error"]["code"] == "invalid_api_key"
            assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        right_key = {"authorization": "bearer s3cret"}
        async with http.post(url, json=chat(), headers=right_key) as right:
            assert right.status == 200
        async with http.get(running.url + "/readiness") as open_route:
            assert open_route.status == 200


async def test_silence_in_an_event_stream_is_bridged_by_comments(
    start: Any, http: Any, chat: Any
) -> None:
    async with (
        MockWorker(timing=EngineTiming(inter_token_latency_s=1.6)) as slow,
        start(slow, sse_keepalive_secs=1) as running,
        http.post(running.url + CHAT, json=chat(stream=True, max_tokens=2)) as answer,
    ):
        lines = [line async for line in answer.content]

    assert b": keep-alive\n" in lines
    assert lines[-2:] == [b"data: [DONE]\n", b"\n"]


async def test_a_client_that_leaves_frees_the_worker_at_once(
    start: Any, http: Any, chat: Any
) -> None:
    async with (
        MockWorker(timing=EngineTiming(inter_token_latency_s=0.05)) as slow,
        start(slow) as running,
    ):
        answer = await http.post(running.url + CHAT, json=chat(stream=True, max_tokens=1000))
        await answer.content.readline()
        answer.close()
        async with asyncio.timeout(2):
            while slow.active_requests:
                await asyncio.sleep(0.005)
        await running.settled()

        assert last_posted(slow).outcome is Outcome.DISCONNECTED
        left = 'smg_http_responses_total{error_code="client_closed_request",path="/v1/chat/completions",status_code="499"}'
        assert running.metric(left) == 1


async def test_a_large_body_is_read_in_a_thread_and_relayed_whole(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    large = chat("x" * 500_000)

    async with start(worker, model_alias=(("fast", "mock-model"),)) as running:
        async with http.post(running.url + CHAT, json=large) as answer:
            assert answer.status == 200
        async with http.post(running.url + CHAT, json={**large, "model": "fast"}) as answer:
            assert answer.status == 200
        async with http.post(running.url + CHAT, json={**large, "n": 0}) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["param"] == "n"
        assert running.gateway.active_requests == 0


async def test_the_gateway_answers_others_while_it_looks_for_the_fault_in_a_huge_body(
    start: Any, worker: Any, http: Any
) -> None:
    broken = b'{"model": "mock-model", "messages": [%b 1]}' % (
        b'{"role": "user", "content": "x"}, ' * 60_000
    )

    async with start(worker) as running:
        refusal = asyncio.ensure_future(
            http.post(running.url + CHAT, data=io.BytesIO(broken), headers=JSON).__aenter__()
        )
        answered_meanwhile = 0
        while not refusal.done():
            async with http.get(running.url + "/health") as answer:
                assert answer.status == 200
            answered_meanwhile += not refusal.done()
        assert refusal.result().status == 400
        assert answered_meanwhile > 1


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/generate", "/v1/embeddings"])
async def test_where_nothing_depends_on_the_body_the_worker_alone_judges_it(
    start: Any, worker: Any, http: Any, path: str
) -> None:
    async with start(worker, disable_retries=True) as running:
        async with http.post(running.url + path, data=b"{not json", headers=JSON) as answer:
            assert answer.status == 400
            assert answer.headers["x-smg-routed-worker-id"] == worker.url
        async with http.post(running.url + "/v1/responses", data=b"{", headers=JSON) as answer:
            assert "x-smg-routed-worker-id" not in answer.headers
        assert running.metric('smg_router_request_body_path_total{path="streamed"') == 1

    assert last_posted(worker).body == b"{not json"


@pytest.mark.parametrize(
    "settings", [{"policy": "cache_aware"}, {"disable_retries": False}], ids=lambda s: next(iter(s))
)
async def test_a_body_is_read_where_something_depends_on_it(
    start: Any, worker: Any, http: Any, settings: Any
) -> None:
    async with start(worker, **{"disable_retries": True, **settings}) as running:
        async with http.post(running.url + CHAT, data=b"{not json", headers=JSON) as answer:
            assert (await answer.json())["error"]["code"] == "invalid_json"


async def test_several_models_are_told_apart_by_reading_the_body(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with (
        MockWorker(model="second") as second,
        start(worker, second, disable_retries=True) as running,
    ):
        for _ in range(4):
            async with http.post(running.url + CHAT, json=chat(model="second")) as answer:
                assert answer.headers["x-smg-routed-worker-id"] == second.url


async def test_interactions_and_realtime_sessions_are_checked_and_not_served(
    start: Any, worker: Any, http: Any
) -> None:
    async with start(worker) as running:
        good = {"model": "mock-model", "input": "hi", "store": False}
        async with http.post(running.url + "/v1/interactions", json=good) as answer:
            assert (answer.status, await answer.text()) == (
                501,
                "Interactions API not implemented for this router",
            )
        async with http.post(running.url + "/v1/interactions", json={"input": "hi"}) as answer:
            assert (await answer.json())["error"]["code"] == "model_or_agent_required"
        session = {"type": "realtime", "model": "mock-model"}
        async with http.post(running.url + "/v1/realtime/sessions", json=session) as answer:
            assert (await answer.json())["error"]["code"] == "model_not_found"


async def test_cancelling_a_response_asks_every_worker(
    start: Any, worker: Any, other: Any, http: Any
) -> None:
    async with start(worker, other) as running:
        other.faults.add(AnswerStatus(code=200, body='{"id":"resp_1"}', path="/v1/responses/"))
        async with http.post(running.url + "/v1/responses/resp_1/cancel") as answer:
            assert (answer.status, await answer.json()) == (200, {"id": "resp_1"})
        other.faults.clear()
        async with http.post(running.url + "/v1/responses/gone/cancel") as answer:
            assert (answer.status, answer.headers["x-smg-error-code"]) == (503, "no_workers")


async def test_information_comes_from_a_healthy_worker(start: Any, worker: Any, http: Any) -> None:
    async with start(worker) as running:
        for path in ("/get_model_info", "/get_server_info", "/health_generate"):
            async with http.get(running.url + path) as through, http.get(worker.url + path) as own:
                assert through.status == own.status == 200
                assert through.content_type == own.content_type
        async with http.get(running.url + "/v1/models/nope") as answer:
            assert answer.headers["x-smg-error-code"] == "model_not_found"
        await worker.stop_abruptly()
        async with http.get(running.url + "/get_model_info") as answer:
            assert (answer.status, answer.headers["x-smg-error-code"]) == (503, "no_workers")
