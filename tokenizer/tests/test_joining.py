"""Long texts leave the event loop, and equal ones are encoded once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from smg_tokenizer import AsyncEncoder, CachedTokenizer, Encoding
from smg_tokenizer.backends.mock import MockTokenizer

LONG = "Hello " * 200


class HeldTokenizer(MockTokenizer):
    """Encodes when it is let go, and remembers the threads that asked."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.begun = threading.Event()
        self.threads: list[int] = []
        self.error: Exception | None = None

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        self.threads.append(threading.get_ident())
        self.begun.set()
        self.go.wait(30)
        if self.error is not None:
            raise self.error
        return super().encode(text, add_special_tokens=add_special_tokens)


@pytest.fixture
def encoder() -> Iterator[AsyncEncoder]:
    with AsyncEncoder(max_threads=2) as encoder:
        yield encoder


async def begun(tokenizer: HeldTokenizer) -> None:
    await asyncio.to_thread(tokenizer.begun.wait, 30)


def test_a_short_text_is_encoded_on_the_loop(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()
    tokenizer.go.set()
    encoding = asyncio.run(encoder.encode(tokenizer, "Hello é"))
    assert encoding.ids == (1,)
    assert tokenizer.threads == [threading.get_ident()]


def test_a_text_is_measured_in_bytes(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()
    tokenizer.go.set()
    asyncio.run(encoder.encode(tokenizer, "中" * 200))
    assert tokenizer.threads != [threading.get_ident()]


def test_equal_texts_at_one_time_are_encoded_once(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()

    async def story() -> list[Encoding]:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(encoder.encode(tokenizer, LONG)) for _ in range(5)]
            await begun(tokenizer)
            tokenizer.go.set()
        return [task.result() for task in asked]

    encodings = asyncio.run(story())
    assert {encoding.ids for encoding in encodings} == {(1,) * 200}
    assert len(tokenizer.threads) == 1
    assert tokenizer.threads != [threading.get_ident()]
    assert encoder.joined_count == 4


def test_a_cancelled_task_does_not_cancel_the_work_of_others(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()

    async def story() -> Encoding:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(encoder.encode(tokenizer, LONG))
            await begun(tokenizer)
            second = tasks.create_task(encoder.encode(tokenizer, LONG))
            await asyncio.sleep(0)
            first.cancel()
            tokenizer.go.set()
        assert first.cancelled()
        return second.result()

    assert len(asyncio.run(story()).ids) == 200
    assert len(tokenizer.threads) == 1


def test_an_error_reaches_all_who_wait_and_is_not_kept(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()
    tokenizer.error = ValueError("no")
    tokenizer.go.set()

    async def story() -> Encoding:
        results = await asyncio.gather(
            *(encoder.encode(tokenizer, LONG) for _ in range(2)), return_exceptions=True
        )
        assert [str(result) for result in results] == ["no", "no"]
        tokenizer.error = None
        return await encoder.encode(tokenizer, LONG)

    assert len(asyncio.run(story()).ids) == 200


def test_a_kept_encoding_needs_no_thread(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()
    tokenizer.go.set()
    cached = CachedTokenizer(tokenizer)

    async def story() -> None:
        first = await encoder.encode(cached, LONG)
        assert await encoder.encode(cached, LONG) is first

    asyncio.run(story())
    assert len(tokenizer.threads) == 1
    statistics = cached.statistics()["l0"]
    assert (statistics.hits, statistics.misses) == (1, 1)


def test_the_loop_goes_on_while_a_text_is_encoded(encoder: AsyncEncoder) -> None:
    tokenizer = HeldTokenizer()

    async def story() -> int:
        work = asyncio.ensure_future(encoder.encode(tokenizer, LONG))
        await begun(tokenizer)
        turns = 0
        while turns < 10:
            await asyncio.sleep(0)
            turns += 1
        assert not work.done()
        tokenizer.go.set()
        await work
        return turns

    assert asyncio.run(story()) == 10
