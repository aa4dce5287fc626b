"""What the simulated model says: readable text that depends on the prompt alone."""

import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smg_mock_worker.tokens import split_tokens, token_ids

__all__ = (
    "Answer",
    "Answerer",
    "answer_words",
    "compose_text",
    "cut_at_stop",
    "fit_text",
    "prompt_seed",
)

Answerer = Callable[[str], str | None]
"""Turns the rendered prompt into the answer's text; None leaves it to `compose_text`."""

_MASK = 2**64 - 1
_OPENERS = ("In short,", "Today", "Usually", "As expected,", "Most of the time", "Here")
_ADJECTIVES = ("quiet", "patient", "small", "bright", "careful", "early", "steady", "distant")
_NOUNS = (
    "gateway", "worker", "river", "garden", "library", "engine", "harbour", "lantern",
    "teacher", "mountain", "signal", "orchard", "letter", "bridge", "sailor", "clock",
)  # fmt: skip
_VERBS = ("follows", "remembers", "answers", "carries", "meets", "repairs", "watches", "guides")
_ENDINGS = ("without haste.", "before noon.", "once again.", "every morning.", "in good order.")
# Closing sentences of one word, two words and so on, up to one less than the longest sentence.
_CLOSINGS = (
    "Indeed.",
    "All's well.",
    "All is well.",
    "And all is well.",
    "And so all is well.",
    "And so all is well here.",
    "And so, in the end, all's well.",
    "And so, in the end, all is well.",
    "And so, in the end, all is well here.",
    "And so, in the very end, all is well here.",
    "And so, in the very end, all is well here today.",
    "And so, in the very end, all is well here once more.",
    "And so, in the very end, all is well here once more today.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One choice of an answer: its `tokens`, their `ids`, and why it ends.

    `finish_reason` is `stop` or `length`; `matched_stop` is the stop string that ended it, if any.
    The first token begins with a space, so that the answer continues the prompt's text.
    """

    tokens: Sequence[str]
    ids: Sequence[int]
    finish_reason: str
    matched_stop: str | None = None

    @property
    def text(self) -> str:
        """The whole answer without the space in front."""
        return "".join(self.tokens).removeprefix(" ")


def prompt_seed(prompt: Sequence[int], choice: int = 0) -> int:
    """The number that choice `choice` of the answer to `prompt` is drawn from."""
    return zlib.crc32(array("q", prompt).tobytes()) + (choice << 32)


def compose_text(seed: int, token_count: int, *, rounded: bool = False) -> list[str]:
    """`token_count` tokens of plain sentences, each with a space in front.

    They break off where the count is reached, unless `rounded` off with a closing sentence.
    """
    words: list[str] = []
    complete = 0
    state = seed & _MASK
    while len(words) < token_count:
        complete = len(words)
        # Knuth's MMIX generator; the high bits are the good ones.
        state = (state * 6364136223846793005 + 1442695040888963407) & _MASK
        high = state >> 33
        words += (
            f"{_OPENERS[high % 6]} the {_ADJECTIVES[(high >> 3) % 8]} {_NOUNS[(high >> 6) % 16]} "
            f"{_VERBS[(high >> 10) % 8]} the {_ADJECTIVES[(high >> 13) % 8]} "
            f"{_NOUNS[(high >> 16) % 16]} {_ENDINGS[(high >> 20) % 5]}"
        ).split()
    if rounded and len(words) > token_count:
        words[complete:] = _CLOSINGS[token_count - complete - 1].split()
    return [" " + word for word in words[:token_count]]


def answer_words() -> set[str]:
    """Every word that `compose_text` can say, with a space in front."""
    phrases = (*_OPENERS, *_ADJECTIVES, *_NOUNS, *_VERBS, *_ENDINGS, *_CLOSINGS, "the")
    return {" " + word for phrase in phrases for word in phrase.split()}


def fit_text(text: str, token_limit: int | None) -> tuple[list[str], str]:
    """The tokens of a given answer cut to `token_limit`, and the finish reason."""
    tokens = split_tokens(" " + text) if text else []
    if token_limit is not None and len(tokens) > token_limit:
        return tokens[:token_limit], "length"
    return tokens, "stop"


def cut_at_stop(
    tokens: list[str], finish_reason: str, stops: Sequence[str], *, keep_stop: bool = False
) -> Answer:
    """End `tokens` before the first of `stops` in their text, or after it with `keep_stop`."""
    text = "".join(tokens)
    hits = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not hits:
        return Answer(tokens=tokens, ids=token_ids(tokens), finish_reason=finish_reason)
    at, stop = min(hits)
    kept = split_tokens(text[: at + len(stop) if keep_stop else at])
    return Answer(tokens=kept, ids=token_ids(kept), finish_reason="stop", matched_stop=stop)
