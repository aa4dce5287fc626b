"""Engines that come late, leave, return, or serve different models."""

from __future__ import annotations

from collections import Counter

import aiohttp
import pytest
from smg_mock_worker import MockWorker

from e2e_test.conftest import StartGateway
from e2e_test.processes import EngineProcess, GatewayProcess, reserved_port, running_engines

pytestmark = pytest.mark.anyio

PROBED_OFTEN = (
    *("--health-check-interval-secs", "1"),
    *("--health-failure-threshold", "1", "--health-success-threshold", "1"),
)


async def ask(gateway: GatewayProcess, model: str = "mock-model") -> tuple[int, str | None]:
    """The status of a completion, and the engine that made it."""
    question = {"model": model, "prompt": "Once", "max_tokens": 1}
    async with (
        aiohttp.ClientSession() as client,
        client.post(gateway.api + "/completions", json=question) as answer,
    ):
        return answer.status, answer.headers.get("x-smg-routed-worker-id")


async def test_an_engine_that_starts_after_the_gateway_is_served_as_soon_as_it_answers(
    launch: StartGateway,
) -> None:
    with reserved_port() as port:
        engine = EngineProcess(port)
        async with launch([engine.url], registered=0) as gateway:
            assert await ask(gateway) == (404, None)
            try:
                await engine.start()
                await gateway.until_ready(1)
                assert await ask(gateway) == (200, engine.url)
            finally:
                engine.kill()


async def test_an_engine_that_dies_is_left_out_until_it_is_back(launch: StartGateway) -> None:
    async with (
        running_engines(2) as [mortal, other],
        launch([mortal.url, other.url], *PROBED_OFTEN) as gateway,
    ):
        mortal.kill()
        await gateway.until_health(mortal.url, healthy=False)
        attempts_before = (await gateway.metrics()).total("smg_worker_retries_total")
        meanwhile = Counter([await ask(gateway) for _ in range(4)])
        attempts_after = (await gateway.metrics()).total("smg_worker_retries_total")

        await mortal.start()
        await gateway.until_health(mortal.url, healthy=True)
        afterwards = Counter([await ask(gateway) for _ in range(4)])

    assert meanwhile == {(200, other.url): 4}
    assert attempts_before == attempts_after
    assert afterwards == {(200, mortal.url): 2, (200, other.url): 2}


async def test_each_model_is_served_by_the_engines_that_have_it(launch: StartGateway) -> None:
    async with (
        MockWorker(model="small") as one,
        MockWorker(model=["small", "org/large"]) as both,
        launch([one.url, both.url]) as gateway,
    ):
        small = Counter([await ask(gateway, "small") for _ in range(4)])
        large = Counter([await ask(gateway, "org/large") for _ in range(4)])
        unknown = await ask(gateway, "org/larger")

    assert small == {(200, one.url): 2, (200, both.url): 2}
    assert large == {(200, both.url): 4}
    assert unknown == (404, None)


async def test_an_alias_reaches_the_engine_under_the_models_own_name(
    launch: StartGateway, engine: MockWorker
) -> None:
    async with launch([engine.url], "--model-alias", "gpt-4o=mock-model") as gateway:
        assert await ask(gateway, "gpt-4o") == (200, engine.url)

    [request] = engine.requests.to("/v1/completions")
    assert b'"model":"mock-model"' in request.body


@pytest.mark.parametrize("policy", ["random", "power_of_two", "cache_aware"])
async def test_other_policies_spread_distinct_prompts_over_the_engines_too(
    launch: StartGateway, policy: str
) -> None:
    async with (
        MockWorker() as one,
        MockWorker() as two,
        launch([one.url, two.url], policy=policy) as gateway,
        aiohttp.ClientSession() as client,
    ):
        for number in range(40):
            question = {"model": "mock-model", "prompt": f"{number} " * 20, "max_tokens": 1}
            async with client.post(gateway.api + "/completions", json=question) as answer:
                assert answer.status == 200

    assert len(one.requests.to("/v1/completions")) > 0
    assert len(two.requests.to("/v1/completions")) > 0


async def test_every_request_is_counted_once(gateway: GatewayProcess, engine: MockWorker) -> None:
    for _ in range(3):
        await ask(gateway)
    await ask(gateway, "unheard-of")
    await gateway.until_drained()

    now = await gateway.metrics()
    path = "/v1/completions"
    assert now.total("smg_http_requests_total", method="POST", path=path) == 4
    assert now.total("smg_http_responses_total", path=path, status_code="200") == 3
    assert now.total("smg_http_responses_total", path=path, error_code="model_not_found") == 1
    assert now.by_worker("smg_worker_requests_total") == {engine.url: 3}
