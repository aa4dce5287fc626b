"""The time that a parser takes for one chunk of a streamed output."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import perf_counter

from smg_tool_parser.testing import write_calls
from tokens import MarkerTokenizer

Feed = Callable[[str], object]

_PROSE = "Let me see what there is. The first shelf has it, I think; the second one may. "
_NOTE = "Two boxes of tea, one of them open. Ask for the 'green' one (not the black one) at 3. "


def streamed_chunks(name: str, tokenizer: MarkerTokenizer, note_repeats: int) -> list[str]:
    """An output with prose and two calls, in chunks of four characters, markers kept whole.

    Each call has one text argument of `note_repeats` sentences.
    """
    call = ("find_item", {"code": (_NOTE * note_repeats).strip()})
    # Two formats count only what stands first.
    text = ("" if name in {"llama", "pythonic"} else _PROSE * 4) + write_calls(name, [call, call])
    chunks: list[str] = []
    waiting = ""
    for token in tokenizer.encode(text):
        waiting += tokenizer.decode(token)
        if len(waiting) >= 4:
            chunks.append(waiting)
            waiting = ""
    return [*chunks, waiting] if waiting else chunks


def microseconds(make: Callable[[], Feed], chunks: Sequence[str], runs: int = 5) -> float:
    """The shortest of some runs, per chunk."""
    best = float("inf")
    for _ in range(runs):
        feed = make()
        gc.collect()
        # As vLLM does once it has started: what is loaded is not looked at by collections.
        gc.freeze()
        begin = perf_counter()
        for chunk in chunks:
            feed(chunk)
        best = min(best, perf_counter() - begin)
    return best / len(chunks) * 1e6
