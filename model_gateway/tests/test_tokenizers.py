"""Tokenizing for clients, and the control plane of tokenizers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from smg_gateway.tokenizers import Catalogue, CatalogueConfig, Loading, LoadState
from smg_tokenizer import Tokenizer, TokenizerNotLoaded

from .conftest import Running, Start

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def call(http: aiohttp.ClientSession) -> Call:
    """Sends JSON and reads JSON, or text where that is the answer."""

    async def send(running: Running, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with http.request(method, running.url + path, **options) as answer:
            text = await answer.text()
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status, json.loads(text) if is_json else text

    return send


async def loaded(running: Running, count: int = 1) -> None:
    """Wait for so many tokenizers."""
    async with asyncio.timeout(20):
        while len(running.gateway.tokenizers.registry) < count:
            await asyncio.sleep(0.005)


async def added(call: Call, running: Running, name: str, source: str) -> str:
    status, answer = await call(
        running, "POST", "/v1/tokenizers", json={"name": name, "source": source}
    )
    assert status == 202
    assert answer["status"] == "pending"
    async with asyncio.timeout(20):
        while True:
            _, seen = await call(running, "GET", f"/v1/tokenizers/{answer['id']}/status")
            if seen["status"] not in {"pending", "processing"}:
                return str(answer["id"])
            await asyncio.sleep(0.01)


async def test_text_becomes_tokens_and_tokens_text(start: Start, call: Call) -> None:
    async with start(model_path="gpt-4o") as running:
        await loaded(running)
        body = {"model": "gpt-4o", "prompt": "héllo world"}
        status, one = await call(running, "POST", "/v1/tokenize", json=body)
        assert (status, one["count"], one["char_count"]) == (200, len(one["tokens"]), 11)
        body["prompt"] = ["a b", ""]  # type: ignore[assignment]
        status, many = await call(running, "POST", "/v1/tokenize", json=body)
        assert (status, many["count"], many["char_count"]) == (200, [2, 0], [3, 0])
        back = {"model": "", "tokens": one["tokens"]}
        assert await call(running, "POST", "/v1/detokenize", json=back) == (
            200,
            {"text": "héllo world"},
        )
        back = {"model": "gpt-4o", "tokens": many["tokens"]}
        assert await call(running, "POST", "/v1/detokenize", json=back) == (
            200,
            {"text": ["a b", ""]},
        )


async def test_without_a_tokenizer_of_the_model_the_answer_says_which_there_are(
    start: Start, call: Call
) -> None:
    async with start() as running:
        body = {"model": "nope", "prompt": "x"}
        status, answer = await call(running, "POST", "/v1/tokenize", json=body)
        assert (status, answer["error"]["type"]) == (400, "tokenizer_not_found")
        assert answer["error"]["message"].startswith("No tokenizers available.")
        await added(call, running, "tk", "mock")
        _, answer = await call(running, "POST", "/v1/tokenize", json=body)
        message = "Tokenizer for model 'nope' not found. Available: tk"
        assert answer["error"]["message"] == message


async def test_unknown_ids_and_bad_bodies_are_refused(start: Start, call: Call) -> None:
    async with start(tokenizer_path="gpt-4o") as running:
        await loaded(running)
        body = {"model": "gpt-4o", "tokens": [4_000_000]}
        status, answer = await call(running, "POST", "/v1/detokenize", json=body)
        assert (status, answer["error"]["type"]) == (500, "detokenization_error")
        status, text = await call(
            running, "POST", "/v1/detokenize", json={"model": "gpt-4o", "tokens": "x"}
        )
        assert status == 422
        assert text.startswith("Failed to deserialize")
        assert (await call(running, "POST", "/v1/tokenizers", json={"name": "x"}))[0] == 422
        assert (await call(running, "POST", "/v1/tokenizers", data=b"{"))[0] == 400


async def test_tokenizers_are_added_listed_shown_and_removed(start: Start, call: Call) -> None:
    async with start() as running:
        key = await added(call, running, "tk", "mock")
        status, answer = await call(running, "GET", "/v1/tokenizers")
        entry = {"id": key, "name": "tk", "source": "mock", "vocab_size": 14}
        assert (status, answer) == (200, {"tokenizers": [entry]})
        for name in ("tk", key):
            assert await call(running, "GET", f"/v1/tokenizers/{name}") == (200, entry)
        done = {
            "id": key,
            "status": "completed",
            "message": "Tokenizer 'tk' is loaded and ready",
            "vocab_size": 14,
        }
        assert await call(running, "GET", "/v1/tokenizers/tk/status") == (200, done)
        again = {"name": "tk", "source": "mock"}
        status, answer = await call(running, "POST", "/v1/tokenizers", json=again)
        taken = {"id": key, "status": "failed", "message": "Tokenizer 'tk' already exists"}
        assert (status, answer) == (409, taken)
        removed = {"success": True, "message": "Tokenizer 'tk' removed successfully"}
        assert await call(running, "DELETE", "/v1/tokenizers/tk") == (200, removed)
        status, answer = await call(running, "DELETE", "/v1/tokenizers/tk")
        assert (status, answer["success"]) == (404, False)
        status, answer = await call(running, "GET", "/v1/tokenizers/tk")
        assert (status, answer["error"]["type"]) == (404, "tokenizer_not_found")
        status, answer = await call(running, "GET", "/v1/tokenizers/tk/status")
        assert (status, answer["error"]["type"]) == (404, "not_found")


async def test_a_load_that_fails_says_why(start: Start, call: Call, tmp_path: Path) -> None:
    broken = tmp_path / "tokenizer.json"
    broken.write_text('{"version": "1.0"')
    async with start() as running:
        key = await added(call, running, "tk", str(tmp_path))
        status, answer = await call(running, "GET", f"/v1/tokenizers/{key}/status")
        assert (status, answer["status"]) == (200, "failed")
        assert answer["message"].startswith("Tokenizer 'tk' was not loaded: ")
        # The name is free again.
        broken.unlink()
        await added(call, running, "tk", "mock")
        assert (await call(running, "GET", "/v1/tokenizers/tk"))[0] == 200


async def test_the_control_plane_needs_its_key(start: Start, call: Call) -> None:
    async with start(api_key="k1") as running:
        assert (await call(running, "GET", "/v1/tokenizers"))[0] == 401
        body = {"model": "m", "prompt": "x"}
        assert (await call(running, "POST", "/v1/tokenize", json=body))[0] == 401


async def test_the_cache_of_the_configured_tokenizer_is_counted(start: Start, call: Call) -> None:
    async with start(model_path="gpt-4o", tokenizer_cache_enable_l0=True) as running:
        await loaded(running)
        body = {"model": "gpt-4o", "prompt": "hello " * 300}
        for _ in range(3):
            assert (await call(running, "POST", "/v1/tokenize", json=body))[0] == 200
        lookups = "smg_tokenizer_cache_lookups_total"
        assert running.metric(lookups + '{layer="l0",result="miss"}') == 1
        assert running.metric(lookups + '{layer="l0",result="hit"}') == 2
        assert running.metric('smg_tokenizer_encode_path_loads_total{path="native"}') == 1


async def test_autoload_can_be_off(start: Start, call: Call) -> None:
    async with start(model_path="gpt-4o", disable_tokenizer_autoload=True) as running:
        await added(call, running, "tk", "mock")
        assert [each.name for each in running.gateway.tokenizers.registry.list()] == ["tk"]


async def settled(catalogue: Catalogue, loading: Loading) -> None:
    async with asyncio.timeout(10):
        while loading.state is not LoadState.FAILED and not len(catalogue.registry):
            await asyncio.sleep(0.001)


async def test_what_a_hub_does_not_give_at_once_is_asked_for_again() -> None:
    asked: list[str] = []

    def load(source: str, **options: object) -> Tokenizer:
        asked.append(source)
        raise TokenizerNotLoaded(f"Failed to fetch model '{source}'")

    catalogue = Catalogue(CatalogueConfig(retry_pause_s=0.0), load=load)
    task = asyncio.ensure_future(catalogue.run())
    loading = catalogue.submit("tk", "org/model")
    await settled(catalogue, loading)
    task.cancel()
    assert asked == ["org/model"] * 3
    assert catalogue.loading("tk") is loading
    assert loading.reason == "Failed to fetch model 'org/model'"


async def test_failed_loads_are_remembered_up_to_a_bound() -> None:
    def load(source: str, **options: object) -> Tokenizer:
        raise TokenizerNotLoaded("no")

    catalogue = Catalogue(CatalogueConfig(retry_pause_s=0.0, max_open_loads=3000), load=load)
    task = asyncio.ensure_future(catalogue.run())
    loads = [catalogue.submit(f"tk{number}", "x") for number in range(1030)]
    async with asyncio.timeout(30):
        while loads[-1].state is not LoadState.FAILED:
            await asyncio.sleep(0.01)
    task.cancel()
    assert catalogue.loading(loads[0].id) is None
    assert len(catalogue._failed) == 1024
