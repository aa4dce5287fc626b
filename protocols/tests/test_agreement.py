"""The two readers of a body, fast and exact, tell the same story.

Bodies are generated from the very declarations that both readers use, then damaged in one
place or not at all. Whatever the fast path accepts the diagnosis must accept too, as the same
request; and what is generated undamaged must not be a mismatch.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_protocols import Dialect, RequestInvalid
from smg_protocols.contracts import CONTRACTS
from smg_protocols.declarations import shape_of
from smg_protocols.diagnosis import diagnose
from smg_protocols.document import read_document, thaw
from smg_protocols.fast_path import decode_surely
from smg_protocols.shapes import (
    Anything,
    Boolean,
    Choice,
    Custom,
    Integer,
    Lazy,
    Mapping,
    Nullable,
    Real,
    Record,
    Sequence,
    Shape,
    Tagged,
    Text,
    Untagged,
)

Values = st.SearchStrategy[Any]

ANY_JSON: Values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(st.text(), ANY_JSON, max_size=2)
# What the shapes with a reader of their own accept, by the name of the reader.
CUSTOM: dict[str, Values] = {
    "_read_any_object": OBJECT,
    "_read_part": st.fixed_dictionaries({"type": st.text()}, optional={"text": st.text()}),
    "_read_function_call": st.sampled_from(["none", "auto"])
    | st.fixed_dictionaries({"name": st.text()}),
    "_read_effort": st.text() | st.integers(-9, 9) | st.floats(0, 1),
    "_read_item": st.fixed_dictionaries(
        {"role": st.text(), "content": st.text()}, optional={"type": st.just("message")}
    )
    | st.fixed_dictionaries({
        "type": st.sampled_from(["function_call", "function_call_output", "reasoning"]),
        "call_id": st.text(),
        "id": st.text(),
        "name": st.text(),
        "arguments": st.text(),
        "output": st.text(),
    }),
}
MAX_DEPTH = 4


def valid(shape: Shape, depth: int = 0) -> Values:
    """Return a strategy for values of a shape; beyond a depth only what must be there."""
    match shape:
        case Text():
            return st.text(max_size=5)
        case Boolean():
            return st.booleans()
        case Integer(low=low, high=high):
            return st.integers(max(low, -2), 30) | st.integers(low, high)
        case Real():
            return st.floats(-3, 3) | st.integers(-3, 3)
        case Anything():
            return ANY_JSON
        case Choice(names=names):
            return st.sampled_from(names)
        case Nullable(inner=inner):
            return st.none() | valid(inner, depth)
        case Sequence(item=item):
            return st.lists(valid(item, depth + 1), max_size=0 if depth > MAX_DEPTH else 3)
        case Mapping(value=value):
            return st.dictionaries(st.text(max_size=3), valid(value, depth + 1), max_size=2)
        case Untagged(variants=variants):
            return st.one_of([valid(variant, depth) for variant in variants])
        case Tagged():
            return tagged(shape, depth)
        case Lazy():
            return st.deferred(lambda: valid(shape.compile(), depth))
        case Record():
            return record(shape, depth)
        case Custom(reader=reader):
            return CUSTOM[reader.__name__]
        case _:
            raise AssertionError(shape)


def record(shape: Record, depth: int) -> Values:
    required: dict[str, Values] = {}
    optional: dict[str, Values] = {}
    for name, member in shape.members.items():
        if member.required:
            required[name] = valid(member.shape, depth + 1)
        elif depth <= MAX_DEPTH:
            optional[name] = valid(member.shape, depth + 1)
    return few_of(required, optional)


@st.composite
def few_of(
    draw: st.DrawFn, required: dict[str, Values], optional: dict[str, Values]
) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), max_size=6)) if optional else []
    members = {**required, **{name: optional[name] for name in chosen}}
    return {name: draw(strategy) for name, strategy in members.items()}


@st.composite
def tagged(draw: st.DrawFn, shape: Tagged, depth: int) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(shape.variants)))
    return {shape.tag: name, **draw(valid(shape.variants[name], depth))}


@st.composite
def damaged(draw: st.DrawFn, bodies: Values) -> Any:
    """Replace, remove or add one thing somewhere in a body."""
    body = draw(bodies)
    places = list(containers(body))
    container = draw(st.sampled_from(places))
    if isinstance(container, dict):
        key = draw(st.sampled_from([*sorted(container), "extra"]))
        if draw(st.booleans()):
            container.pop(key, None)
        else:
            container[key] = draw(ANY_JSON)
    elif container:
        container[draw(st.integers(0, len(container) - 1))] = draw(ANY_JSON)
    return body


def containers(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


def bodies(dialect: Dialect) -> Values:
    return st.deferred(lambda: valid(shape_of(CONTRACTS[dialect].declaration)))


def encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def comparable(value: Any) -> Any:
    """Turn a request into plain data, raw JSON into what it says."""
    if isinstance(value, msgspec.Raw):
        return ("raw", json.dumps(msgspec.json.decode(value), sort_keys=True))
    if isinstance(value, msgspec.Struct):
        members = {name: comparable(getattr(value, name)) for name in value.__struct_fields__}
        return sorted(members.items())
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    return value


each_dialect = pytest.mark.parametrize("dialect", list(Dialect), ids=lambda each: each.name)


@each_dialect
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_the_fast_path_accepts_the_diagnosis_accepts_as_the_same_request(
    dialect: Dialect, data: st.DataObject
) -> None:
    contract = CONTRACTS[dialect]
    body = encoded(data.draw(bodies(dialect) | damaged(bodies(dialect))))

    fast = decode_surely(contract, body)

    if fast is not None:
        exact = diagnose(contract, body)
        assert contract.text(exact) == contract.text(fast)
        if dialect is not Dialect.RESPONSES:
            assert comparable(exact) == comparable(fast)


@each_dialect
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_body_of_the_declared_types_is_refused_by_rules_only(
    dialect: Dialect, data: st.DataObject
) -> None:
    body = encoded(data.draw(bodies(dialect)))

    try:
        diagnose(CONTRACTS[dialect], body)
    except RequestInvalid as refusal:
        assert refusal.status == 400
        assert "Invalid JSON data" not in refusal.message
        assert "JSON syntax error" not in refusal.message


@settings(max_examples=60, deadline=None)
@given(body=ANY_JSON)
def test_thawing_restores_what_was_sent(body: Any) -> None:
    assert thaw(read_document(json.dumps(body).encode())) == json.loads(json.dumps(body))
