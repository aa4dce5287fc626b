"""Where added tokens stand in a text: one automaton for all of them, longest match first."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple


class AddedToken(NamedTuple):
    """A token that is looked for in the raw text, before the text is split into words."""

    text: str
    id: int
    normalized: bool = False
    special: bool = True


class Segmenter:
    """Cuts a text at added tokens: leftmost first, the longest of those that start together.

    Encoding the pieces one by one gives the ids of the whole text. Immutable.
    """

    __slots__ = ("_ids", "_late_pattern", "_pattern")

    def __init__(self, ids: Mapping[str, int], late_ids: Mapping[str, int] | None = None) -> None:
        """`late_ids` are looked for only in what `ids` leave."""
        late = dict(late_ids or {})
        self._ids = {**late, **ids}
        if not overlapping(ids, late):
            ids, late = self._ids, {}
        self._pattern = re.compile(_trie_pattern(ids)) if ids else None
        self._late_pattern = re.compile(_trie_pattern(late)) if late else None

    def split(self, text: str) -> Iterator[tuple[str, int | None]]:
        """The pieces of `text` in order: (text between tokens, None) or (token, its id)."""
        if self._late_pattern is None:
            yield from self._split_by(self._pattern, text)
            return
        for piece, token_id in self._split_by(self._pattern, text):
            if token_id is None:
                yield from self._split_by(self._late_pattern, piece)
            else:
                yield piece, token_id

    def _split_by(
        self, pattern: re.Pattern[str] | None, text: str
    ) -> Iterator[tuple[str, int | None]]:
        position = 0
        if pattern is not None:
            for match in pattern.finditer(text):
                start, end = match.span()
                if start > position:
                    yield text[position:start], None
                token = match.group()
                yield token, self._ids[token]
                position = end
        if position < len(text):
            yield (text[position:] if position else text), None


def overlapping(tokens: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a token of one set can share characters with a token of the other in some text.

    While none can, it makes no difference which set is looked for first.
    """
    left, right = set(tokens), set(others)
    return _reaches_into(left, right) or _reaches_into(right, left)


def _reaches_into(tokens: set[str], others: set[str]) -> bool:
    """Whether one of `others` can start inside one of `tokens`."""
    starts = {text[:end] for text in others for end in range(1, len(text) + 1)}
    firsts = {text[0] for text in others}
    for text in tokens:
        for begin, char in enumerate(text):
            if char not in firsts:
                continue
            if text[begin:] in starts:
                return True
            if any(text[begin:end] in others for end in range(begin + 1, len(text) + 1)):
                return True
    return False


def _trie_pattern(tokens: Iterable[str]) -> str:
    """A regular expression for any of `tokens`, longest first, without trying them one by one."""
    ordered = sorted(set(tokens))
    return _branch(ordered, 0, 0, len(ordered))


def _branch(ordered: list[str], depth: int, low: int, high: int) -> str:
    """The expression for ordered[low:high], which all share their first `depth` characters."""
    first, last = ordered[low], ordered[high - 1]
    common = depth
    while common < len(first) and common < len(last) and first[common] == last[common]:
        common += 1
    prefix = re.escape(first[depth:common])
    ends_here = len(first) == common
    low += ends_here
    options = []
    while low < high:
        char, end = ordered[low][common], low + 1
        while end < high and ordered[end][common] == char:
            end += 1
        options.append(_branch(ordered, common, low, end))
        low = end
    if not options:
        return prefix
    group = "(?:" + "|".join(options) + ")"
    return prefix + group + ("?" if ends_here else "")
