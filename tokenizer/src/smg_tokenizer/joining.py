"""Encoding from an event loop: long texts leave the loop, and equal ones are encoded once."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from .cache import CachedTokenizer
from .interface import Encoding, Tokenizer

OFF_LOOP_BYTES: Final = 512


class AsyncEncoder:
    """Encodes for many tasks of one event loop.

    Texts of `off_loop_bytes` or more go to a thread, at most `max_threads` at once; while one is
    being encoded, every other request for the same text waits for that result. A task that is
    cancelled does not cancel the work of the others. Use it as a context manager, or `close` it.
    """

    def __init__(
        self, *, off_loop_bytes: int = OFF_LOOP_BYTES, max_threads: int | None = None
    ) -> None:
        """`max_threads` is the number of CPUs unless given."""
        self._off_loop_bytes = off_loop_bytes
        self._threads = ThreadPoolExecutor(
            max_threads or os.cpu_count() or 1, thread_name_prefix="smg-encode"
        )
        self._running: dict[tuple[int, bool, str], asyncio.Future[Encoding]] = {}
        self.joined_count = 0
        """How many requests were served by the work of another one."""

    async def encode(
        self, tokenizer: Tokenizer, text: str, *, add_special_tokens: bool = False
    ) -> Encoding:
        """`tokenizer.encode`, off the loop where that pays. Raises what that raises."""
        if self._is_short(text):
            return tokenizer.encode(text, add_special_tokens=add_special_tokens)
        encode = tokenizer.encode
        if isinstance(tokenizer, CachedTokenizer):
            kept = tokenizer.lookup(text, add_special_tokens=add_special_tokens)
            if kept is not None:
                return kept
            encode = tokenizer.encode_missed
        key = (id(tokenizer), add_special_tokens, text)
        work = self._running.get(key)
        if work is None:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(
                self._threads, lambda: encode(text, add_special_tokens=add_special_tokens)
            )
            self._running[key] = work
            # The closure above keeps the tokenizer alive, so its id is not used again before this.
            work.add_done_callback(lambda done: self._forget(key, done))
        else:
            self.joined_count += 1
        return await asyncio.shield(work)

    def close(self) -> None:
        """Take no more work; what runs is finished in its threads."""
        self._threads.shutdown(wait=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _is_short(self, text: str) -> bool:
        if len(text) >= self._off_loop_bytes:
            return False
        return text.isascii() or len(text.encode(errors="replace")) < self._off_loop_bytes

    def _forget(self, key: tuple[int, bool, str], done: asyncio.Future[Encoding]) -> None:
        del self._running[key]
        if not done.cancelled():
            # Marks the error as seen: all who wait for it may be gone.
            done.exception()
