"""Measure this package: `python -m smg_tokenizer.bench FOLDER [FOLDER ...]`.

Each folder holds a model's tokenizer. Prints the best of several rounds, so that a busy machine
adds little: encoding and decoding beside the tokenizers library on the same texts, and what stop
sequences and the caches cost. Templates are set beside transformers where that is installed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .backends.base import BaseTokenizer
from .cache import CachedTokenizer, CacheLimits
from .factory import load_path
from .stops import StopSequenceDecoder, StopSequences

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

PROMPT_BYTES: Final = 8192
CHAT_TURNS: Final = 20

_PROSE: Final = (
    "The gateway reads a request once, chooses a worker, and relays what it answers. It's 2026, "
    "and prompts don't get shorter: 1,024 tokens are nothing, 128k are usual. "
)
_CODE: Final = (
    'def route(request: Request, *, retries: int = 3) -> Response:\n    """Pick one."""\n'
    "    for attempt in range(retries):\n        if (worker := pick(request)) is not None:\n"
    "            return worker.send(request)  # may raise\n\n"
)
_WORLD: Final = "网关读取一次请求，选择一个工作节点。日本語のテキストも、한국어도。 مرحبا بالعالم! Привет, мир. 🦀👍🏽 "


class Measurement(NamedTuple):
    """One line of the report. `other` is the same work by the library named in `what`."""

    what: str
    us: float
    other_us: float | None = None


def texts() -> dict[str, str]:
    """What is encoded: about 8 KiB each of prose, code, many scripts, and all of them."""
    kinds = {"prose": _PROSE, "code": _CODE, "scripts": _WORLD, "mixed": _PROSE + _CODE + _WORLD}
    return {
        name: (part * (PROMPT_BYTES // len(part.encode()) + 1))[: _chars_in(part)]
        for name, part in kinds.items()
    }


def _chars_in(part: str) -> int:
    """How many characters of a repeated text make up PROMPT_BYTES."""
    return PROMPT_BYTES * len(part) // len(part.encode())


def best_us(action: Callable[[], object], *, rounds: int, calls: int = 1) -> float:
    """Microseconds per call, in the best of several rounds."""
    action()
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(calls):
            action()
        best = min(best, time.perf_counter() - begin)
    return best / calls * 1e6


def measure(folder: Path, rounds: int) -> Iterator[Measurement]:
    """All measurements of one tokenizer."""
    begin = time.perf_counter()
    tokenizer = load_path(folder)
    yield Measurement("load", (time.perf_counter() - begin) * 1e6)
    yield from _encoding(tokenizer, folder, rounds)
    yield from _decoding(tokenizer, folder, rounds)
    yield from _caches(tokenizer, rounds)


def _encoding(tokenizer: BaseTokenizer, folder: Path, rounds: int) -> Iterator[Measurement]:
    from tokenizers import Tokenizer as Library

    library = Library.from_file(str(folder / "tokenizer.json"))
    for name, text in texts().items():
        own = tokenizer.encode(text).ids
        if list(own) != library.encode(text, add_special_tokens=False).ids:
            raise AssertionError(f"ids differ on {name}")
        yield Measurement(
            f"encode 8 KiB {name} ({tokenizer.encode_path}) | tokenizers' encode",
            best_us(partial(tokenizer.encode, text), rounds=rounds),
            best_us(partial(_library_ids, library, text), rounds=rounds),
        )
    text = texts()["mixed"]
    yield Measurement(
        f"encode 8 KiB mixed ({tokenizer.encode_path}) | tokenizers' encode_batch_fast",
        best_us(lambda: tokenizer.encode(text), rounds=rounds),
        best_us(lambda: library.encode_batch_fast([text])[0].ids, rounds=rounds),
    )


def _library_ids(library: "Library", text: str) -> list[int]:
    return library.encode(text, add_special_tokens=False).ids


def _decoding(tokenizer: BaseTokenizer, folder: Path, rounds: int) -> Iterator[Measurement]:
    from tokenizers import Tokenizer as Library
    from tokenizers.decoders import DecodeStream as LibraryStream

    library = Library.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(texts()["prose"]).ids

    def own() -> None:
        push = tokenizer.decode_stream().push
        for token_id in ids:
            push(token_id)

    def other() -> None:
        step = LibraryStream(skip_special_tokens=True).step
        for token_id in ids:
            step(library, token_id)

    plain = best_us(own, rounds=rounds) / len(ids)
    other_us = best_us(other, rounds=rounds) / len(ids)
    yield Measurement("decode a token of a stream | tokenizers' DecodeStream", plain, other_us)
    stops = StopSequences(
        hidden_ids=frozenset({2**30}), hidden_texts=("</answer>", "\n\nUser:", "Observation:")
    )

    def stopping() -> None:
        push = StopSequenceDecoder(tokenizer, stops).push
        for token_id in ids:
            push(token_id)

    with_stops = best_us(stopping, rounds=rounds) / len(ids)
    yield Measurement("what 3 stop strings add to that", with_stops - plain)
    yield Measurement(
        f"decode {len(ids)} tokens at once | tokenizers' decode",
        best_us(lambda: tokenizer.decode(ids), rounds=rounds),
        best_us(lambda: library.decode(ids), rounds=rounds),
    )


def _caches(tokenizer: BaseTokenizer, rounds: int) -> Iterator[Measurement]:
    cached = CachedTokenizer(tokenizer)
    for name in ("prose", "mixed"):
        text = texts()[name]
        cached.encode(text)
        # Texts that come off the wire are new objects.
        copies = cycle([text.encode().decode() for _ in range(16)])
        hit_us = best_us(partial(_next_hit, cached, copies), rounds=rounds, calls=50)
        yield Measurement(f"L0 hit on 8 KiB of {name}", hit_us)
    mark = next(iter(tokenizer.special_tokens.additional), None)
    if mark is None or tokenizer.segmenter is None:
        return
    turn = f"{mark}{_PROSE}{_CODE}"
    prompts = ["".join(f"{turn}{place}" * 3 for place in range(n + 1)) for n in range(CHAT_TURNS)]
    pieces = CachedTokenizer(tokenizer, CacheLimits(exact=False, pieces=True))
    for prompt in prompts[:-1]:
        pieces.encode(prompt)
    before = pieces.statistics()["l1"].reused_bytes
    begin = time.perf_counter()
    pieces.encode(prompts[-1])
    own_us = (time.perf_counter() - begin) * 1e6
    whole = len(prompts[-1].encode())
    share = 1 - (pieces.statistics()["l1"].reused_bytes - before) / whole
    yield Measurement(
        f"turn {CHAT_TURNS} of a chat, L1 ({share:.0%} of {whole:,} bytes encoded) | without L1",
        own_us,
        best_us(lambda: tokenizer.encode(prompts[-1]), rounds=rounds),
    )


def _next_hit(cached: CachedTokenizer, copies: Iterator[str]) -> None:
    cached.encode(next(copies))


def report(title: str, measurements: Iterable[Measurement]) -> Iterator[str]:
    """One table, line by line."""
    yield title
    for what, us, other_us in measurements:
        times = "" if other_us is None else f" {other_us:>12,.2f} {other_us / us:>7.1f}x"
        yield f"  {what:<78} {us:>12,.2f}{times}"


def _rendering() -> Iterator[Measurement]:
    from .templates.bench import measure as measure_templates

    for what, us, other_us in measure_templates():
        yield Measurement(f"{what} | transformers", us, None if isnan(other_us) else other_us)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables. Times are in microseconds."""
    parser = argparse.ArgumentParser(prog="smg_tokenizer.bench", description=main.__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with a tokenizer.json")
    parser.add_argument("--rounds", type=int, default=20, help="rounds, of which the best counts")
    options = parser.parse_args(arguments)
    tables = [(folder.name, measure(folder, options.rounds)) for folder in options.folders]
    for title, measurements in [*tables, ("templates", _rendering())]:
        for line in report(title, measurements):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
