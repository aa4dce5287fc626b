"""Requests on a prefill and a decode worker: both engines' ways, and what can go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from smg_gateway.settings.shapes import BootstrapUrl
from smg_mock_worker import (
    AddLatency,
    AnswerStatus,
    EngineTiming,
    Flavour,
    Hang,
    LoadOverride,
    MockWorker,
    ResetConnection,
)

from .conftest import Running, Start

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
Body = Callable[..., dict[str, Any]]


@dataclass
class Fleet:
    """A gateway over engines that do one leg each."""

    running: Running
    prefills: list[MockWorker]
    decodes: list[MockWorker]

    @property
    def url(self) -> str:
        return self.running.url

    async def at_rest(self) -> None:
        """Nothing is under way anywhere."""
        await self.running.settled()
        async with asyncio.timeout(5):
            while any(engine.active_requests for engine in (*self.prefills, *self.decodes)):
                await asyncio.sleep(0.005)


StartPairs = Callable[..., Any]


@pytest.fixture
def pairs(start: Start) -> StartPairs:
    """Starts a fleet: `async with pairs(flavour, prefills, decodes, setting=value) as fleet`."""

    @asynccontextmanager
    async def run(
        flavour: Flavour = Flavour.SGLANG,
        prefills: int = 1,
        decodes: int = 1,
        *,
        timing: EngineTiming | None = None,
        **settings: Any,
    ) -> AsyncIterator[Fleet]:
        async with AsyncExitStack() as stack:
            engines: dict[str, list[MockWorker]] = {}
            for role, count in (("prefill", prefills), ("decode", decodes)):
                engines[role] = [
                    await stack.enter_async_context(
                        MockWorker(flavour=flavour, role=role, timing=timing)  # type: ignore[arg-type]
                    )
                    for _ in range(count)
                ]
            given = {
                "pd_disaggregation": True,
                "prefill": tuple(BootstrapUrl(w.url, w.port) for w in engines["prefill"]),
                "decode": tuple(w.url for w in engines["decode"]),
                **settings,
            }
            running = await stack.enter_async_context(start(**given))
            async with asyncio.timeout(10):
                while len(running.gateway.registry.snapshot.workers) < prefills + decodes:
                    await asyncio.sleep(0.005)
            yield Fleet(running, engines["prefill"], engines["decode"])

    return run


def asked(engine: MockWorker, path: str = CHAT) -> list[dict[str, Any]]:
    """Bodies of the inference requests that an engine got."""
    return [json.loads(record.body) for record in engine.requests if record.path == path]


async def post(
    http: aiohttp.ClientSession, fleet: Fleet, body: object, path: str = CHAT, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    async with http.post(fleet.url + path, json=body, headers=headers) as answer:
        text = await answer.text()
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status, json.loads(text) if is_json else text, dict(answer.headers)


@pytest.mark.parametrize("stream", [False, True])
async def test_both_sglang_legs_get_the_same_request_and_meet(
    stream: bool, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs() as fleet:
        body = chat("hello " * 40, stream=stream, max_tokens=5)
        status, answer, headers = await post(http, fleet, body)
        assert status == 200, answer
        (prefill,), (decode,) = asked(fleet.prefills[0]), asked(fleet.decodes[0])
        assert prefill == decode
        assert prefill["bootstrap_host"] == "127.0.0.1"
        assert prefill["bootstrap_port"] == fleet.prefills[0].port
        assert 0 <= prefill["bootstrap_room"] < 2**63
        assert {name: prefill[name] for name in body} == body
        assert headers["x-smg-routed-worker-id"] == fleet.decodes[0].url
        if not stream:
            usage = answer["usage"]
            assert usage["completion_tokens"] == 5
            assert usage["prompt_tokens_details"]["cached_tokens"] > 0, "the cache came over"
        await fleet.at_rest()


async def test_several_answers_get_a_room_each(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs() as fleet:
        status, answer, _ = await post(http, fleet, chat("hello", n=3))
        assert status == 200, answer
        (sent,) = asked(fleet.prefills[0])
        assert len(set(sent["bootstrap_room"])) == 3
        assert sent["bootstrap_host"] == ["127.0.0.1"] * 3
        assert len(answer["choices"]) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_vllm_legs_run_in_turn(
    stream: bool, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(Flavour.VLLM) as fleet:
        body = chat("hello " * 40, stream=stream, max_tokens=5, min_tokens=2)
        status, answer, _ = await post(http, fleet, body)
        assert status == 200, answer
        (prefill,), (decode,) = asked(fleet.prefills[0]), asked(fleet.decodes[0])
        assert prefill["max_tokens"] == 1 and prefill["stream"] is False
        assert "min_tokens" not in prefill
        assert prefill["kv_transfer_params"]["do_remote_decode"] is True
        assert decode["kv_transfer_params"]["do_remote_prefill"] is True
        assert {name: decode[name] for name in body} == body
        if not stream:
            assert answer["usage"]["completion_tokens"] == 5
            assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
        await fleet.at_rest()


async def test_a_vllm_request_for_several_answers_needs_no_prefill_worker(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(Flavour.VLLM) as fleet:
        status, answer, _ = await post(http, fleet, chat("hello", n=2))
        assert status == 200, answer
        assert asked(fleet.prefills[0]) == []
        assert len(asked(fleet.decodes[0])) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_log_probabilities_of_the_prompt_come_from_the_prefill_leg(
    stream: bool, pairs: StartPairs, http: aiohttp.ClientSession
) -> None:
    async with pairs() as fleet:
        body = {
            "text": "one two three",
            "return_logprob": True,
            "stream": stream,
            "sampling_params": {"max_new_tokens": 2},
        }
        status, answer, _ = await post(http, fleet, body, "/generate")
        assert status == 200, answer
        if stream:
            events = [line[6:] for line in answer.splitlines() if line.startswith("data: {")]
            answer = json.loads(events[-1])
        # Both simulated legs report the prompt; the prefill leg's report stands in front.
        logprobs = answer["meta_info"]["input_token_logprobs"]
        assert len(logprobs) == 2 * answer["meta_info"]["prompt_tokens"]


@pytest.mark.parametrize("flavour", [Flavour.SGLANG, Flavour.VLLM])
@pytest.mark.parametrize("code", [400, 404, 503, 418])
async def test_a_prefill_error_is_told_as_one(
    flavour: Flavour, code: int, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(flavour, disable_retries=True) as fleet:
        fleet.prefills[0].faults.add(AnswerStatus(code=code))
        status, answer, _ = await post(http, fleet, chat())
        names = {400: "bad_request", 404: "not_found", 503: "unavailable"}
        assert status == code
        assert answer["error"]["code"] == f"prefill_{names.get(code, 'error')}"
        assert "Injected fault" in answer["error"]["message"]
        await fleet.at_rest()


@pytest.mark.parametrize("flavour", [Flavour.SGLANG, Flavour.VLLM])
async def test_a_decode_error_is_told_as_one(
    flavour: Flavour, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(flavour, disable_retries=True) as fleet:
        fleet.decodes[0].faults.add(AnswerStatus(code=400))
        status, answer, _ = await post(http, fleet, chat())
        assert (status, answer["error"]["code"]) == (400, "decode_bad_request")
        assert answer["error"]["message"] == "Injected fault: status 400."
        await fleet.at_rest()


@pytest.mark.parametrize("flavour", [Flavour.SGLANG, Flavour.VLLM])
@pytest.mark.parametrize("role", ["prefill", "decode"])
@pytest.mark.parametrize("fault", [AnswerStatus(code=500), ResetConnection()])
async def test_half_a_dead_pair_is_no_failure_while_there_are_others(
    flavour: Flavour,
    role: str,
    fault: Any,
    pairs: StartPairs,
    http: aiohttp.ClientSession,
    chat: Body,
) -> None:
    async with pairs(flavour, 2, 2) as fleet:
        bad = (fleet.prefills if role == "prefill" else fleet.decodes)[0]
        bad.faults.add(fault)
        for turn in range(4):
            status, answer, _ = await post(http, fleet, chat(f"hello {turn}"))
            assert status == 200, answer
        assert asked(bad), "the bad one was tried"
        await fleet.at_rest()


@pytest.mark.parametrize("flavour", [Flavour.SGLANG, Flavour.VLLM])
async def test_a_prefill_worker_that_dies_in_the_middle_is_replaced(
    flavour: Flavour, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    slow = EngineTiming(prefill_tokens_per_s=100)
    async with pairs(flavour, 2, 1, timing=slow) as fleet:
        asking = asyncio.ensure_future(post(http, fleet, chat("word " * 60)))
        async with asyncio.timeout(5):
            while not any(engine.active_requests for engine in fleet.prefills):
                await asyncio.sleep(0.005)
        busy = next(engine for engine in fleet.prefills if engine.active_requests)
        await busy.stop_abruptly()
        status, answer, _ = await asking
        assert status == 200, answer
        other = next(engine for engine in fleet.prefills if engine is not busy)
        assert len(asked(other)) == 1
        await fleet.at_rest()


@pytest.mark.parametrize("flavour", [Flavour.SGLANG, Flavour.VLLM])
async def test_a_client_that_leaves_ends_both_legs(
    flavour: Flavour, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    slow = EngineTiming(prefill_tokens_per_s=10, inter_token_latency_s=0.5)
    async with pairs(flavour, timing=slow) as fleet:
        asking = asyncio.ensure_future(post(http, fleet, chat("word " * 60)))
        async with asyncio.timeout(5):
            while not fleet.prefills[0].active_requests:
                await asyncio.sleep(0.005)
        asking.cancel()
        await fleet.at_rest()
        assert not any(w.load for w in fleet.running.gateway.registry.snapshot.workers)


async def test_a_prefill_that_hangs_ends_at_the_deadline(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(Flavour.VLLM, request_timeout_secs=1, disable_retries=True) as fleet:
        fleet.prefills[0].faults.add(Hang())
        status, answer, _ = await post(http, fleet, chat())
        assert (status, answer["error"]["code"]) == (504, "prefill_request_failed")
        await fleet.at_rest()


async def test_without_a_worker_of_a_leg_the_answer_is_503_and_not_ready(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(decodes=0) as fleet:
        status, answer, _ = await post(http, fleet, chat())
        assert (status, answer["error"]["code"]) == (503, "no_available_workers")
        assert answer["error"]["message"].startswith("No available servers: ")
        async with http.get(fleet.url + "/readiness") as ready:
            assert ready.status == 503


async def test_ready_with_a_worker_of_each_leg(
    pairs: StartPairs, http: aiohttp.ClientSession
) -> None:
    async with pairs() as fleet, http.get(fleet.url + "/readiness") as ready:
        assert ready.status == 200


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/v1/embeddings", {"model": "mock-model", "input": "x"}, "Embeddings not implemented"),
        ("/v1/classify", {"model": "mock-model", "input": "x"}, "Classify not implemented"),
    ],
)
async def test_what_no_pair_can_do_is_501(
    path: str, body: Any, text: str, pairs: StartPairs, http: aiohttp.ClientSession
) -> None:
    async with pairs() as fleet:
        assert (await post(http, fleet, body, path))[:2] == (501, text)


async def test_tokens_are_counted_by_a_prefill_worker_alone(
    pairs: StartPairs, http: aiohttp.ClientSession
) -> None:
    async with pairs() as fleet:
        body = {"model": "mock-model", "messages": [{"role": "user", "content": "one two"}]}
        status, answer, _ = await post(http, fleet, body, "/v1/messages/count_tokens")
        assert status == 200 and answer["input_tokens"] > 0
        assert asked(fleet.prefills[0], "/v1/messages/count_tokens")
        assert not asked(fleet.decodes[0], "/v1/messages/count_tokens")


async def test_models_and_health_are_those_of_the_pairs(
    pairs: StartPairs, http: aiohttp.ClientSession
) -> None:
    async with pairs() as fleet:
        async with http.get(fleet.url + "/v1/models") as answer:
            assert [card["id"] for card in (await answer.json())["data"]] == ["mock-model"]
        async with http.get(fleet.url + "/health_generate") as answer:
            prefill, decode = fleet.prefills[0].url, fleet.decodes[0].url
            assert await answer.text() == (
                f"Health generate passed on selected pair: prefill={prefill}, decode={decode}"
            )
        fleet.decodes[0].faults.add(AnswerStatus(code=500, path="/health_generate"))
        async with http.get(fleet.url + "/health_generate") as answer:
            assert answer.status == 503
        size = 'smg_worker_pool_size{connection_mode="http",model="mock-model",worker_type="%s"}'
        for kind in ("prefill", "decode"):
            assert fleet.running.metric(size % kind) == 1


async def test_each_leg_has_its_policy_and_both_choices_are_logged(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    policies = {"prefill_policy": "cache_aware", "decode_policy": "round_robin"}
    async with pairs(prefills=2, decodes=2, **policies) as fleet:
        for _ in range(4):
            await post(http, fleet, chat("the same prompt " * 30))
            await fleet.at_rest()
        async with http.get(fleet.url + "/v1/router/decisions") as answer:
            choices = (await answer.json())["data"]
        by_leg = {leg: [c for c in choices if c["leg"] == leg] for leg in ("prefill", "decode")}
        assert {c["policy"] for c in by_leg["prefill"]} == {"cache_aware"}
        assert {c["policy"] for c in by_leg["decode"]} == {"round_robin"}
        assert len({c["worker"] for c in by_leg["prefill"]}) == 1
        assert len({c["worker"] for c in by_leg["decode"]}) == 2


async def test_the_dry_run_foretells_both_legs(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(prefills=3, decodes=3, policy="random") as fleet:
        for turn in range(6):
            body = chat(f"hello {turn}")
            status, foretold, _ = await post(http, fleet, body, "/v1/router/explain")
            assert status == 200, foretold
            _, _, headers = await post(http, fleet, body)
            assert foretold["decision"]["worker"] == headers["x-smg-routed-worker-id"]
            assert len(asked(_engine(fleet, foretold["prefill"]["worker"]))) > 0
            await fleet.at_rest()


async def test_the_dry_run_foretells_that_there_is_no_pair(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(decodes=0) as fleet:
        _, foretold, _ = await post(http, fleet, chat(), "/v1/router/explain")
        assert foretold["decision"] is None
        assert foretold["error"]["code"] == "no_available_workers"


def _engine(fleet: Fleet, url: str) -> MockWorker:
    return next(engine for engine in (*fleet.prefills, *fleet.decodes) if engine.url == url)


async def test_bucket_keeps_long_prompts_apart(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(prefills=2, prefill_policy="bucket") as fleet:
        for content in ("short", "x" * 3000):
            status, answer, _ = await post(http, fleet, chat(content))
            assert status == 200, answer
        assert [len(asked(engine)) for engine in fleet.prefills] == [1, 1]


SLOW = EngineTiming(prefill_tokens_per_s=200)
CAP: dict[str, Any] = {"prefill_max_inflight_requests_per_worker": 1}


class TestPrefillAdmission:
    async def test_requests_beyond_the_cap_wait_their_turn(
        self, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
    ) -> None:
        async with pairs(Flavour.VLLM, timing=SLOW, **CAP) as fleet:
            asking = [post(http, fleet, chat("word " * 20)) for _ in range(4)]
            answers = await asyncio.gather(*asking)
            assert [status for status, _, _ in answers] == [200] * 4
            await fleet.at_rest()

    async def test_a_full_queue_refuses(
        self, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
    ) -> None:
        async with pairs(Flavour.VLLM, 2, timing=SLOW, prefill_queue_size=1, **CAP) as fleet:
            asking = [post(http, fleet, chat("word " * 40)) for _ in range(5)]
            answers = await asyncio.gather(*asking)
            statuses = sorted(status for status, _, _ in answers)
            assert statuses == [200, 200, 200, 429, 429]
            refused = next(body for status, body, _ in answers if status == 429)
            assert refused["error"]["code"] == "pd_prefill_queue_full"
            await fleet.at_rest()

    async def test_a_long_wait_is_refused(
        self, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
    ) -> None:
        async with pairs(Flavour.VLLM, prefill_queue_timeout_secs=1, **CAP) as fleet:
            fleet.prefills[0].faults.add(AddLatency(seconds=3))
            asking = [post(http, fleet, chat()) for _ in range(2)]
            answers = await asyncio.gather(*asking)
            late = next(body for status, body, _ in answers if status == 429)
            assert late["error"]["code"] == "pd_prefill_queue_timeout"
            await fleet.at_rest()

    async def test_whoever_leaves_the_queue_takes_no_place(
        self, pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
    ) -> None:
        async with pairs(Flavour.VLLM, timing=SLOW, **CAP) as fleet:
            first = asyncio.ensure_future(post(http, fleet, chat("word " * 40)))
            async with asyncio.timeout(5):
                while not fleet.prefills[0].active_requests:
                    await asyncio.sleep(0.005)
            waiting = asyncio.ensure_future(post(http, fleet, chat("word " * 40)))
            plane = fleet.running.gateway.lane._pairs
            assert plane is not None
            async with asyncio.timeout(5):
                while not len(plane.queue):
                    await asyncio.sleep(0.005)
            waiting.cancel()
            assert (await first)[0] == 200
            await fleet.at_rest()
            assert len(plane.queue) == 0
            assert len(asked(fleet.prefills[0])) == 1


@pytest.mark.parametrize("leg", ["prefill", "decode"])
async def test_a_leg_of_overloaded_workers_sheds_where_that_is_asked_for(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body, leg: str
) -> None:
    async with pairs(worker_overload_shed=True, load_monitor_interval=2) as fleet:
        engine = fleet.prefills[0] if leg == "prefill" else fleet.decodes[0]
        engine.load_override = LoadOverride(waiting_requests=9)
        await fleet.running.gateway.fleet.loads.poll_all()
        async with http.post(fleet.url + CHAT, json=chat()) as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "2"
            assert (await answer.json())["error"]["code"] == "worker_overload_protection_shed"
        shed = 'smg_worker_overload_shed_total{stage="selection"}'
        assert fleet.running.metric(shed) == 1
        assert not asked(fleet.decodes[0])


async def test_what_both_legs_remember_is_in_the_gauges(
    pairs: StartPairs, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with pairs(prefill_policy="cache_aware", decode_policy="cache_aware") as fleet:
        await post(http, fleet, chat("x" * 500))
        trees = fleet.running.metric('smg_cache_tree_chars{model="mock-model"}')
        assert trees >= 1000
