"""The toy tokenizer: a token is one word with the white space before it."""

import re
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence

__all__ = ("VOCABULARY_SIZE", "Vocabulary", "split_tokens", "token_id", "token_ids")

VOCABULARY_SIZE = 2**31
# Sixteen characters keep a long run without spaces (base64, CJK text) from being one token.
_TOKEN = re.compile(r"\s*\S{1,16}|\s+")


def split_tokens(text: str) -> list[str]:
    """The tokens of `text`, in order; joined again they are `text`."""
    return _TOKEN.findall(text)


def token_id(token: str) -> int:
    """A number in `0..VOCABULARY_SIZE-1` that depends on nothing but the token's characters."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) & (VOCABULARY_SIZE - 1)


def token_ids(tokens: Iterable[str]) -> tuple[int, ...]:
    """`token_id` of each token."""
    return tuple(map(token_id, tokens))


class Vocabulary:
    """Remembers which word an id came from, for the newest `capacity` distinct tokens.

    Ids are hashes, so they can be turned back into text only for tokens that were seen.
    """

    def __init__(self, known: Iterable[str] = (), capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._tokens: OrderedDict[int, str] = OrderedDict()
        tokens = tuple(known)
        self.remember(token_ids(tokens), tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of `text`, each of which is remembered for `decode`."""
        tokens = split_tokens(text)
        ids = token_ids(tokens)
        self.remember(ids, tokens)
        return ids

    def remember(self, ids: Sequence[int], tokens: Sequence[str]) -> None:
        """Note that `ids[i]` stands for `tokens[i]`; the longest unused ids are forgotten."""
        known = self._tokens
        for number, token in zip(ids, tokens, strict=True):
            known[number] = token
            known.move_to_end(number)
        while len(known) > self._capacity:
            known.popitem(last=False)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; an id that was never seen reads ` <number>`."""
        return "".join(self._tokens.get(number) or f" <{number}>" for number in ids)
