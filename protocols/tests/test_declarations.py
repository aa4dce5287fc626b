"""Declarations become shapes once, completely, and only where both readers can agree."""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
import pytest
from smg_protocols import Dialect
from smg_protocols.contracts import CONTRACTS
from smg_protocols.declarations import broken_rules, record_of, shape_of
from smg_protocols.document import Members
from smg_protocols.faults import ROOT, Broken, Mismatch
from smg_protocols.shapes import (
    Lazy,
    Mapping,
    Nullable,
    Record,
    Sequence,
    Shape,
    Tagged,
    Text,
    Untagged,
)
from smg_protocols.wire import U32, Named, Nested, Ruled, u32


def parts(shape: Shape, seen: set[str]) -> Iterator[Shape]:
    """Yield the shapes inside a shape, each record once."""
    if isinstance(shape, Lazy):
        shape = shape.compile()
    if isinstance(shape, Record):
        if repr(shape.build) in seen:
            return
        seen.add(repr(shape.build))
    yield shape
    match shape:
        case Record():
            inner: list[Shape] = [member.shape for member in shape.members.values()]
        case Sequence():
            inner = [shape.item]
        case Mapping():
            inner = [shape.value]
        case Nullable():
            inner = [shape.inner]
        case Tagged():
            inner = list(shape.variants.values())
        case Untagged():
            inner = list(shape.variants)
        case _:
            inner = []
    for each in inner:
        yield from parts(each, seen)


@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda each: each.name)
def test_every_part_of_every_declaration_has_a_shape(dialect: Dialect) -> None:
    found = list(parts(shape_of(CONTRACTS[dialect].declaration), set()))

    assert isinstance(found[0], Record)
    assert any(isinstance(shape, Text) for shape in found)


class Alone(msgspec.Struct, tag="alone"):
    """A Struct whose tag the fast decoder would not ask for."""


class Holder(msgspec.Struct):
    member: Alone


def test_a_tagged_struct_without_alternative_is_no_declaration() -> None:
    with pytest.raises(TypeError, match="Alone has a tag but no alternative"):
        record_of(Holder, "Holder")


def _never(field: str, value: object) -> Broken:
    return Broken("never", f"{value!r}", field)


class Inner(msgspec.Struct):
    count: Annotated[int, u32(1, 3)] | None = None


class Outer(msgspec.Struct):
    inner: Annotated[Inner, Nested()] | None = None
    word: Annotated[str, Ruled(_never)] | None = None


def test_rules_of_nested_records_carry_the_whole_path() -> None:
    found = list(broken_rules(Outer(Inner(count=9), word="x")))

    assert [(each.code, each.field) for each in found] == [
        ("integer_above_max_value", "inner.count"),
        ("never", "word"),
    ]


def test_absent_members_break_no_rule() -> None:
    assert list(broken_rules(Outer())) == []


class Leaf(msgspec.Struct, tag="leaf"):
    kind: Literal["a", "b"]
    size: U32


class Tree(msgspec.Struct, tag="tree"):
    nodes: "list[Node]"


Node = Annotated[Leaf | Tree, Named("Node")]


def test_a_type_may_contain_itself() -> None:
    leaf = Members([("type", "leaf"), ("kind", "a"), ("size", 1)])
    tree = Members([("type", "tree"), ("nodes", [leaf, leaf])])

    assert shape_of(Node).read(tree, ROOT) == Tree([Leaf("a", 1), Leaf("a", 1)])


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("x", 'invalid type: string "x", expected internally tagged enum Node'),
        ([], "missing field `type`"),
        ([5], "invalid type: integer `5`, expected variant identifier"),
        (Members([("type", "twig")]), "unknown variant `twig`, expected `leaf` or `tree`"),
        (Members([("type", "tree"), ("type", "leaf")]), "duplicate field `type`"),
        (
            Members([("type", "leaf"), ("kind", 5), ("size", 1)]),
            "invalid type: integer `5`, expected string or map",
        ),
        (
            Members([("type", "leaf"), ("kind", Members([("c", 1)])), ("size", 1)]),
            "unknown variant `c`, expected `a` or `b`",
        ),
    ],
    ids=str,
)
def test_complaints_about_tagged_unions(value: object, cause: str) -> None:
    with pytest.raises(Mismatch) as caught:
        shape_of(Node).read(value, ROOT)

    assert caught.value.cause == cause
