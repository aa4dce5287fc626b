"""A tokenizer of single characters and whole markers, for parsers that ask for one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CHARACTERS_FROM = 10_000


class MarkerTokenizer:
    """Every marker is a token, and so is every character outside of markers.

    A marker that is cut is characters, as when a model spells it out in ordinary tokens.
    """

    is_fast = True
    all_special_tokens: Sequence[str] = ()
    all_special_ids: Sequence[int] = ()
    bos_token = eos_token = pad_token = "<eos>"
    bos_token_id = eos_token_id = pad_token_id = 1

    def __init__(self, markers: Sequence[str]) -> None:
        ordered = sorted(set(markers), key=len, reverse=True)
        self._ids = {marker: 2 + at for at, marker in enumerate(ordered)}
        self._markers = {token: marker for marker, token in self._ids.items()}
        self._pattern = re.compile("|".join(map(re.escape, ordered)) or r"(?!)")

    def get_vocab(self) -> dict[str, int]:
        characters = {chr(code): _CHARACTERS_FROM + code for code in range(32, 127)}
        return {"<eos>": 1, **characters, **self._ids}

    @property
    def vocab(self) -> dict[str, int]:
        return self.get_vocab()

    def encode(self, text: str, add_special_tokens: bool = False, **_: object) -> list[int]:
        ids: list[int] = []
        at = 0
        for found in self._pattern.finditer(text):
            ids += [_CHARACTERS_FROM + ord(char) for char in text[at : found.start()]]
            ids.append(self._ids[found.group()])
            at = found.end()
        return ids + [_CHARACTERS_FROM + ord(char) for char in text[at:]]

    def decode(self, ids: int | Sequence[int], **_: object) -> str:
        listed = [ids] if isinstance(ids, int) else ids
        return "".join(
            self._markers.get(token) or chr(max(token - _CHARACTERS_FROM, 0)) for token in listed
        )

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int | None] | None:
        if isinstance(tokens, str):
            return self.get_vocab().get(tokens)
        return [self.get_vocab().get(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        return [self.decode(token) for token in ids]

    def tokenize(self, text: str) -> list[str]:
        return [self.decode(token) for token in self.encode(text)]

    def get_added_vocab(self) -> dict[str, int]:
        return dict(self._ids)
