"""Markers in a text that arrives in pieces: found when whole, held back while they may become so."""

import re
from collections.abc import Sequence


class Gap:
    """A stretch inside a marker whose characters are free within a class.

    `charset` is a regular-expression class and must exclude the character that follows the gap, so
    that there is one way to read it. `most` bounds how much a parser may have to hold back.
    """

    __slots__ = ("charset", "least", "most")

    def __init__(self, charset: str, least: int, most: int) -> None:
        self.charset = charset
        self.least = least
        self.most = most


class Marker:
    """A literal text, or literals with gaps between; it begins and ends with a literal."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: str | Gap) -> None:
        self._parts = parts

    @property
    def first(self) -> str:
        """The character that the marker begins with."""
        begin = self._parts[0]
        assert isinstance(begin, str), "a marker begins with a literal"
        return begin[0]

    def whole(self) -> str:
        """A regular expression (without groups) for the complete marker."""
        return "".join(
            _gap(part) if isinstance(part, Gap) else re.escape(part) for part in self._parts
        )

    def cut_off(self) -> str:
        r"""A regular expression for the marker's proper beginnings, each up to `\Z`."""
        units: list[str | Gap] = []
        for part in self._parts:
            units.extend([part] if isinstance(part, Gap) else part)
        rest = ""
        for unit in reversed(units[:-1]):
            rest = _beginning(unit, rest)
        return rest


def _beginning(unit: str | Gap, rest: str) -> str:
    if isinstance(unit, Gap):
        ended = rf"{unit.charset}{{0,{unit.most}}}\Z"
        return f"(?:{ended}|{_gap(unit)}{rest})" if rest else ended
    return rf"{re.escape(unit)}(?:\Z|{rest})" if rest else rf"{re.escape(unit)}\Z"


def _gap(gap: Gap) -> str:
    return f"{gap.charset}{{{gap.least},{gap.most}}}"


def compile_markers(choices: Sequence[Sequence[Marker]]) -> re.Pattern[str]:
    """One pattern for several choices of markers: group N is choice N, counted from 1.

    The group after the last choice is a marker that the end of the text has cut off.
    """
    markers = [marker for choice in choices for marker in choice]
    if not markers:
        return re.compile(r"(?!)()")
    groups = ["(" + "|".join(marker.whole() for marker in choice) + ")" for choice in choices]
    groups.append("(" + "|".join(marker.cut_off() or "(?!)" for marker in markers) + ")")
    return re.compile("|".join(groups))
