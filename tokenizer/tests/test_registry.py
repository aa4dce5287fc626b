"""Tokenizers are registered once per name, found by name or id, and removed."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from smg_tokenizer import Tokenizer, TokenizerError, TokenizerExists, TokenizerRegistry
from smg_tokenizer.backends.mock import MockTokenizer
from smg_tokenizer.registry import uuid7


async def load_mock(source: str) -> Tokenizer:
    await asyncio.sleep(0)
    return MockTokenizer()


def test_a_tokenizer_is_found_by_its_name_and_by_its_id() -> None:
    registry = TokenizerRegistry()
    entry = asyncio.run(registry.load("a", "mock", load_mock))
    assert registry.get("a") is registry.get(entry.id) is entry
    assert (entry.name, entry.source) == ("a", "mock")
    assert registry.get("b") is None


def test_a_name_goes_before_an_id() -> None:
    registry = TokenizerRegistry()
    first = registry.add("a", "mock", MockTokenizer(), tokenizer_id="x")
    second = registry.add("x", "mock", MockTokenizer())
    assert registry.get("x") is second
    assert registry.remove("x") is first


def test_entries_are_listed_by_name_and_the_oldest_one_is_first() -> None:
    registry = TokenizerRegistry()
    for name in ("b", "a", "c"):
        registry.add(name, "mock", MockTokenizer())
    assert [entry.name for entry in registry.list()] == ["a", "b", "c"]
    first = registry.first()
    assert first is not None
    assert first.name == "b"
    assert len(registry) == 3


def test_a_removed_tokenizer_is_gone_under_both_keys() -> None:
    registry = TokenizerRegistry()
    entry = registry.add("a", "mock", MockTokenizer())
    assert registry.remove("a") is entry
    assert registry.get("a") is registry.get(entry.id) is registry.remove("a") is None
    assert registry.first() is None


def test_of_loads_at_one_time_one_runs_and_the_others_learn_its_id() -> None:
    registry = TokenizerRegistry()
    sources: list[str] = []

    async def load(source: str) -> Tokenizer:
        sources.append(source)
        return await load_mock(source)

    async def story() -> list[object]:
        loads = (registry.load("a", source, load) for source in ("one", "two", "three"))
        return await asyncio.gather(*loads, return_exceptions=True)

    entry, *refused = asyncio.run(story())
    found = registry.get("a")
    assert entry is found
    assert found is not None
    assert sources == ["one"]
    assert all(isinstance(error, TokenizerExists) for error in refused)
    assert {getattr(error, "tokenizer_id", None) for error in refused} == {found.id}


def test_after_a_failed_load_the_next_one_may_try() -> None:
    registry = TokenizerRegistry()

    async def fail(source: str) -> Tokenizer:
        raise TokenizerError(source)

    async def story() -> None:
        with pytest.raises(TokenizerError, match="broken"):
            await registry.load("a", "broken", fail)
        await registry.load("a", "mock", load_mock)

    asyncio.run(story())
    assert len(registry) == 1


@pytest.mark.parametrize(("name", "source", "part"), [("", "x", "name"), ("x", "", "source")])
def test_names_and_sources_are_not_empty(name: str, source: str, part: str) -> None:
    registry = TokenizerRegistry()
    with pytest.raises(TokenizerError, match=f"tokenizer {part} cannot be empty"):
        asyncio.run(registry.load(name, source, load_mock))


def test_ids_are_uuids_of_version_seven_in_the_order_of_time() -> None:
    value = uuid.UUID(uuid7())
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert len({uuid7() for _ in range(50)}) == 50
