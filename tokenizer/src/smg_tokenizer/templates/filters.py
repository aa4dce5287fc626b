"""The filters of chat templates: Jinja's own, charged and bounded, and JSON as Python prints it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from itertools import islice
from typing import Any

from jinja2 import filters as stock
from jinja2.environment import Environment
from jinja2.exceptions import FilterArgumentError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.tests import TESTS
from jinja2.utils import pass_environment
from markupsafe import soft_str

from .guards import (
    SLOW_MAX_CHARS,
    check_arguments,
    check_format,
    guarded_add,
    method_guard,
)
from .limits import CONTAINERS, LimitExceeded, current_budget

__all__ = ("chat_filters", "chat_tests", "to_json")

Filter = Callable[..., Any]

# Cheap whatever they are given, and used everywhere.
UNCHARGED = frozenset({"abs", "count", "d", "default", "first", "float", "length", "safe"})
# Made for web pages, and slower than linear in what they are given.
SLOW = frozenset({"pprint", "striptags", "title", "urlize", "wordwrap", "xmlattr"})
COMPARING = frozenset({
    *("!=", "<", "<=", "==", ">", ">="),
    *("eq", "equalto", "ge", "greaterthan", "gt", "in", "le", "lessthan", "lt", "ne"),
})
MAX_INDENT = 256
# As long as Python reads numbers in base ten; other bases know no bound of their own.
MAX_DIGITS = 4300
# The decimal places of a float end far below; the stock filter raises ten to this power.
MAX_PRECISION = 400


def to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """`value` as `json.dumps` prints it: nothing is escaped for HTML, non-ASCII stays as it is."""
    if indent is not None and len(str(indent)) > 8:
        raise FilterArgumentError("indent is too large")
    if isinstance(indent, int) and not 0 <= indent <= MAX_INDENT:
        raise FilterArgumentError("indent must be a small number, not negative")
    if separators is not None:
        separators = _separators(separators)
    if indent is None:
        return json.dumps(
            value, ensure_ascii=ensure_ascii, separators=separators, sort_keys=sort_keys
        )
    return _indented_json(value, ensure_ascii, indent, separators, sort_keys)


def _indented_json(
    value: object,
    ensure_ascii: bool,
    indent: int | str,
    separators: tuple[str, str] | None,
    sort_keys: bool,
) -> str:
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    budget, pieces, chars = current_budget(), [], 0
    for piece in encoder.iterencode(value):
        # Deep values have long indents, so that the text may be far larger than the value.
        chars += len(piece)
        if chars > budget.limits.text_chars:
            raise LimitExceeded("the JSON text is too long")
        pieces.append(piece)
    return "".join(pieces)


def _separators(given: object) -> tuple[str, str]:
    match given:
        case (str(item), str(key)) if len(item) + len(key) <= 64:
            return item, key
    raise FilterArgumentError("separators must be two short strings")


def _charged(function: Filter) -> Filter:
    # Where a filter wants the environment or a context, that comes first and the value second.
    place = 1 if getattr(function, "jinja_pass_arg", None) is not None else 0

    @wraps(function)
    def charged(*args: object, **kwargs: object) -> object:
        budget = current_budget()
        budget.scan(args[place])
        result = function(*args, **kwargs)
        budget.book(result)
        if isinstance(result, CONTAINERS):
            budget.weigh(result)
        return result

    return charged


def _short_only(function: Filter) -> Filter:
    place = 1 if getattr(function, "jinja_pass_arg", None) is not None else 0

    @wraps(function)
    def short_only(*args: object, **kwargs: object) -> object:
        if current_budget().weigh(args[place]) > SLOW_MAX_CHARS:
            raise LimitExceeded("this filter takes short texts only")
        return function(*args, **kwargs)

    return short_only


def _center(value: object, width: int = 80) -> str:
    text = soft_str(value)
    _check_method("center", text, width)
    return text.center(width)


def _check_method(name: str, text: str, *args: object) -> None:
    guard = method_guard(name)
    assert guard is not None
    guard(text, args, {})


def _indent(value: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    if len(width) > MAX_INDENT if isinstance(width, str) else width > MAX_INDENT:
        raise FilterArgumentError("indent is too wide")
    text = soft_str(value)
    current_budget().book_text(len(text) + MAX_INDENT * text.count("\n"))
    return stock.do_indent(value, width, first, blank)


def _format(value: str, *args: object, **kwargs: object) -> str:
    template = soft_str(value)
    check_format(template, percent=True)
    check_arguments(template, kwargs or args)
    return stock.do_format(value, *args, **kwargs)


def _replace(value: object, old: str, new: str, count: int | None = None) -> str:
    text, old, new = soft_str(value), soft_str(old), soft_str(new)
    _check_method("replace", text, old, new, count)
    return text.replace(old, new, -1 if count is None else count)


def _bounded_list(value: Iterable[object]) -> list[object]:
    budget = current_budget()
    if isinstance(value, str | list | tuple | dict | range):
        budget.book_items(len(value))
        return list(value)
    items = list(islice(value, budget.limits.items + 1))
    budget.book_items(len(items))
    return items


@pass_environment
def _join(
    environment: Environment, value: Iterable[object], d: str = "", attribute: str | None = None
) -> str:
    items: Iterable[object] = value
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), value)
    budget, separator = current_budget(), soft_str(d)
    parts: list[str] = []
    chars = 0
    for item in items:
        part = item if isinstance(item, str) else soft_str(item)
        parts.append(part)
        chars += len(part) + len(separator)
        if chars > budget.limits.text_chars:
            raise LimitExceeded("the joined text is too long")
    return separator.join(parts)


def _pieces(name: str, function: Filter) -> Filter:
    # Both count with their second argument whatever they are given.
    @wraps(function)
    def pieces(value: object, count: int, fill_with: object = None) -> list[object]:
        current_budget().book_items(count)
        current_budget().scan(value)
        return list(function(value, count, fill_with))

    return pieces


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > MAX_PRECISION:
        raise FilterArgumentError("precision is too large")
    return stock.do_round(value, precision, method)


def _int(value: Any, default: int = 0, base: int = 10) -> int:
    if isinstance(value, str) and len(value) > MAX_DIGITS:
        raise LimitExceeded("a number has too many digits")
    return stock.do_int(value, default, base)


@pass_environment
def _sum(
    environment: Environment,
    iterable: Iterable[object],
    attribute: str | int | None = None,
    start: object = 0,
) -> object:
    if attribute is not None:
        iterable = map(make_attrgetter(environment, attribute), iterable)
    total = start
    for item in iterable:
        current_budget().tick()
        total = guarded_add(total, item)
    return total


def _compared(test: Filter) -> Filter:
    @wraps(test)
    def compared(*operands: object) -> object:
        budget = current_budget()
        for operand in operands:
            budget.scan(operand)
        return test(*operands)

    return compared


def chat_tests() -> Mapping[str, Filter]:
    """All tests that a chat template may name; those that compare pay for what they read."""
    tests: dict[str, Any] = dict(TESTS)
    return {name: _compared(test) if name in COMPARING else test for name, test in tests.items()}


def chat_filters() -> Mapping[str, Filter]:
    """All filters that a chat template may name."""
    own: dict[str, Filter] = {
        "batch": _pieces("batch", stock.do_batch),
        "center": _center,
        "format": _format,
        "indent": _indent,
        "int": _int,
        "join": _join,
        "list": _bounded_list,
        "replace": _replace,
        "round": _round,
        "slice": _pieces("slice", stock.sync_do_slice),
        "sum": _sum,
        "tojson": to_json,
    }
    chosen = {}
    for name, function in {**FILTERS, **own}.items():
        if name in SLOW:
            function = _short_only(function)
        chosen[name] = function if name in UNCHARGED else _charged(function)
    return chosen
