"""Operations of templates that can ask for more than they were given: sized before they run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from .limits import TEXTS, LimitExceeded, current_budget

__all__ = (
    "SLOW_MAX_CHARS",
    "check_arguments",
    "check_format",
    "guarded_add",
    "guarded_multiply",
    "guarded_power",
    "guarded_remainder",
    "method_guard",
)

# More digits than any prompt prints; squaring in a loop would double them each round.
MAX_INTEGER_BITS = 4096
# Padding is for tables; a wider field is an attempt to fill memory.
MAX_FIELD_WIDTH = 10_000

SEQUENCES = (list, tuple)
# Operations made for web pages, slower than linear in what they are given, take no more than this.
SLOW_MAX_CHARS = 64 * 1024
# Others, like those for host names, are slow as well.
CODECS = frozenset({"ascii", "latin-1", "utf-8", "utf8"})

_NUMBER = re.compile(r"\d+")
_PERCENT_SIZES = re.compile(r"%(?:\([^)]*\))?[-+ #0_^]*(\*|\d+)?(?:\.(\*|\d+))?")


def check_format(template: str, *, percent: bool) -> None:
    """Refuse field widths and precisions that are not for people.

    `percent` says that `template` is a whole %-format, where a star takes the width from an
    argument; otherwise it is the specification of one field of `str.format`.
    """
    current_budget().book_text(len(template))
    numbers = _NUMBER.findall(template)
    if percent:
        fields = [size for sizes in _PERCENT_SIZES.findall(template) for size in sizes if size]
        if "*" in fields:
            raise LimitExceeded("widths out of arguments are not allowed in formats")
        numbers = fields
    if any(len(number) > 9 or int(number) > MAX_FIELD_WIDTH for number in numbers):
        raise LimitExceeded("a field width is too large")


def guarded_multiply(left: object, right: object) -> object:
    """`left * right`, refused when it would repeat something too often."""
    if isinstance(left, int) and not isinstance(right, int):
        left, right = right, left
    if isinstance(right, int):
        if isinstance(left, str | bytes):
            current_budget().book_text(len(left) * max(right, 0))
        elif isinstance(left, list | tuple):
            return _repeated(left, max(right, 0))
        elif isinstance(left, int):
            _check_bits(left.bit_length() + right.bit_length())
    return left * right  # type: ignore[operator]


def _repeated(items: list[object] | tuple[object, ...], times: int) -> object:
    budget = current_budget()
    budget.book_items(len(items) * times)
    weight = budget.weigh(items) * times
    if weight > budget.limits.weight:
        raise LimitExceeded("a nested value is too large")
    result = items * times
    budget.book_weight(result, weight)
    return result


def guarded_power(left: object, right: object) -> object:
    """`left ** right`, refused when the result would have thousands of digits."""
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * abs(right))
    return left**right  # type: ignore[operator]


def guarded_remainder(left: object, right: object) -> object:
    """`left % right`; with a text on the left a formatting, with bounded widths."""
    if isinstance(left, str | bytes):
        check_format(left if isinstance(left, str) else left.decode("latin-1"), percent=True)
        check_arguments(left, right)
        result = left % right
        current_budget().book_text(len(result))
        return result
    return left % right  # type: ignore[operator]


def check_arguments(template: str | bytes, arguments: object) -> None:
    """Refuse a %-format that would print its arguments, which may be large, too often."""
    budget = current_budget()
    weight = budget.weigh(arguments)
    if isinstance(arguments, Mapping):
        # Named arguments may be printed by each field.
        weight *= template.count("%") if isinstance(template, str) else template.count(b"%")
    budget.book_text(len(template) + weight)


def guarded_add(left: object, right: object) -> object:
    """`left + right`, charged with what it builds."""
    if isinstance(left, TEXTS) and isinstance(right, TEXTS):
        current_budget().book_text(len(left) + len(right))
    elif isinstance(left, SEQUENCES) and isinstance(right, SEQUENCES):
        budget = current_budget()
        budget.book_items(len(left) + len(right))
        weight = budget.weigh(left) + budget.weigh(right)
        result = left + right  # type: ignore[operator]
        budget.book_weight(result, weight)
        return result
    return left + right  # type: ignore[operator]


def _check_bits(bits: int) -> None:
    if bits > MAX_INTEGER_BITS:
        raise LimitExceeded("a number is too large")


Texts = str | bytes


def _argument(
    args: Sequence[object], kwargs: Mapping[str, object], place: int, name: str
) -> object:
    return args[place] if len(args) > place else kwargs.get(name)


def _guard_width(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    width = _argument(args, kwargs, 0, "width")
    if isinstance(width, int):
        current_budget().book_text(max(width, len(text)))


def _guard_tabs(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    size = _argument(args, kwargs, 0, "tabsize")
    tabs = text.count("\t") if isinstance(text, str) else text.count(b"\t")
    current_budget().book_text(len(text) + tabs * (size if isinstance(size, int) else 8))


def _guard_replace(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    old, new = _argument(args, kwargs, 0, "old"), _argument(args, kwargs, 1, "new")
    limit = _argument(args, kwargs, 2, "count")
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        hits = text.count(old)
        if isinstance(limit, int) and limit >= 0:
            hits = min(hits, limit)
        current_budget().book_text(len(text) + hits * max(len(new) - len(old), 0))
    elif isinstance(new, bytes):
        current_budget().book_text(len(text) * (len(new) + 1))


def _guard_join(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    parts = _argument(args, kwargs, 0, "iterable")
    if not isinstance(parts, list | tuple | dict | str):
        raise LimitExceeded("join takes a list")
    chars = sum(len(part) for part in parts if isinstance(part, str | bytes))
    current_budget().book_text(chars + len(text) * len(parts))


def _guard_split(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    separator = _argument(args, kwargs, 0, "sep")
    if isinstance(text, str) and isinstance(separator, str) and separator:
        parts = text.count(separator)
    else:
        parts = len(text) // 2
    current_budget().book_items(parts)


def _guard_lines(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    current_budget().book_items(text.count("\n") if isinstance(text, str) else len(text))


def _guard_codec(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    codec = _argument(args, kwargs, 0, "encoding")
    if codec is not None and str(codec).lower() not in CODECS:
        raise LimitExceeded("this encoding is not available in templates")


def _guard_short(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    if len(text) > SLOW_MAX_CHARS:
        raise LimitExceeded("this method takes short texts only")


def _guard_translate(text: Texts, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    table = _argument(args, kwargs, 0, "table")
    longest = 1
    if isinstance(table, Mapping):
        longest = max((len(to) for to in table.values() if isinstance(to, str)), default=1)
    current_budget().book_text(len(text) * max(longest, 1))


Guard = Callable[[Texts, Sequence[object], Mapping[str, object]], None]

_GUARDS: Mapping[str, Guard] = {
    "center": _guard_width,
    "ljust": _guard_width,
    "rjust": _guard_width,
    "zfill": _guard_width,
    "expandtabs": _guard_tabs,
    "replace": _guard_replace,
    "join": _guard_join,
    "split": _guard_split,
    "rsplit": _guard_split,
    "splitlines": _guard_lines,
    "translate": _guard_translate,
    "encode": _guard_codec,
    "decode": _guard_codec,
    "striptags": _guard_short,
}


def method_guard(name: str) -> Guard | None:
    """The check that a method of a text needs before it is called, if it needs one."""
    return _GUARDS.get(name)
