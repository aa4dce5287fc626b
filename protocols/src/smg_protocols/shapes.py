"""Shapes: what a declared type accepts, with the exact complaint when it does not.

A shape reads a value of `document.read_document` and builds what the fast decoder would have
built from the same bytes. Shapes come from the declarations (see `declarations`), so there is
one description of each type. Complaints are worded like serde's, the library whose errors the
clients of this API have always seen.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import msgspec

from smg_protocols.document import Members, thaw
from smg_protocols.faults import Mismatch, Trail, shown

__all__ = (
    "Anything",
    "Boolean",
    "Choice",
    "Custom",
    "Integer",
    "Lazy",
    "Mapping",
    "Member",
    "Nullable",
    "Real",
    "Record",
    "Sequence",
    "Shape",
    "Tagged",
    "Text",
    "Untagged",
    "alternatives",
    "plain_decimal",
    "wrong_type",
)


class Shape(Protocol):
    """One type: `read` returns the typed value or raises Mismatch."""

    def read(self, value: object, trail: Trail) -> object: ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    def read(self, value: object, trail: Trail) -> object:
        if not isinstance(value, str):
            raise wrong_type(value, "a string", trail)
        return value


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false."""

    def read(self, value: object, trail: Trail) -> object:
        if not isinstance(value, bool):
            raise wrong_type(value, "a boolean", trail)
        return value


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer of a machine type: `name` is i32, u32, i64, u64 or usize."""

    name: str
    low: int
    high: int

    def read(self, value: object, trail: Trail) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(value, self.name, trail)
        if not self.low <= value <= self.high:
            code = "integer_below_min_value" if value < self.low else "integer_above_max_value"
            cause = f"invalid value: integer `{value}`, expected {self.name}"
            raise Mismatch(code, cause, trail)
        return value


@dataclass(frozen=True, slots=True)
class Real:
    """A number; `name` is f32 or f64."""

    name: str

    def read(self, value: object, trail: Trail) -> object:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong_type(value, self.name, trail)
        return float(value)


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value, kept as bytes."""

    def read(self, value: object, trail: Trail) -> object:
        return msgspec.Raw(msgspec.json.encode(thaw(value)))


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of one shape."""

    item: Shape

    def read(self, value: object, trail: Trail) -> object:
        if not isinstance(value, list) or isinstance(value, Members):
            raise wrong_type(value, "a sequence", trail)
        if _all_plain(self.item, value):
            return value
        return [self.item.read(item, trail.into(at)) for at, item in enumerate(value)]


@dataclass(frozen=True, slots=True)
class Mapping:
    """An object with any keys and values of one shape."""

    value: Shape

    def read(self, value: object, trail: Trail) -> object:
        if not isinstance(value, Members):
            raise wrong_type(value, "a map", trail)
        return {key: self.value.read(member, trail.into(key)) for key, member in value}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few strings."""

    names: tuple[str, ...]

    def read(self, value: object, trail: Trail) -> object:
        if isinstance(value, Members) and value:
            # An object is a variant with a payload to serde, the key names the variant.
            raise self._unknown(value[0][0], trail)
        if not isinstance(value, str):
            if trail.frozen:
                raise wrong_type(value, "string or map", trail)
            raise Mismatch("invalid_json", "expected value", trail)
        if value not in self.names:
            raise self._unknown(value, trail)
        return value

    def _unknown(self, name: str, trail: Trail) -> Mismatch:
        cause = f"unknown variant `{shown(name)}`, expected {alternatives(self.names)}"
        return Mismatch("invalid_value", cause, trail)


@dataclass(frozen=True, slots=True)
class Nullable:
    """A shape or null."""

    inner: Shape

    def read(self, value: object, trail: Trail) -> object:
        return None if value is None else self.inner.read(value, trail)


@dataclass(frozen=True, slots=True)
class Member:
    """One declared member of a record."""

    name: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An object with declared members, built as `build(**members)`.

    A strict record refuses other members, any record refuses one given twice. One that keeps
    the members it does not know can only be an object; others complain of a list's length.
    """

    name: str
    build: Callable[..., object]
    members: dict[str, Member]
    strict: bool
    keeps_unknown: bool

    def read(self, value: object, trail: Trail) -> object:
        if isinstance(value, Members):
            return self.build(**self.collect(value, trail))
        if isinstance(value, list) and not self.keeps_unknown:
            size = len(self.members)
            cause = f"invalid length {len(value)}, expected struct {self.name} with {size} elements"
            raise Mismatch("json_parse_error", cause, trail)
        raise wrong_type(value, f"struct {self.name}", trail)

    def collect(self, pairs: Iterable[tuple[str, object]], trail: Trail) -> dict[str, object]:
        """Read the members of an object, `pairs` in document order."""
        found: dict[str, object] = {}
        for key, value in pairs:
            member = self.members.get(key)
            if member is None:
                if self.strict:
                    known = alternatives(self.members)
                    cause = f"unknown field `{shown(key)}`, expected {known}"
                    raise Mismatch("unknown_parameter", cause, trail.into(key))
            elif key in found:
                raise Mismatch("json_parse_error", f"duplicate field `{key}`", trail)
            else:
                found[key] = member.shape.read(value, trail.into(key))
        for key, member in self.members.items():
            if member.required and key not in found:
                cause = f"missing field `{key}`"
                raise Mismatch("missing_required_parameter", cause, trail, key)
        return found


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object whose member `tag` says which record it is."""

    name: str
    tag: str
    variants: dict[str, Shape]

    def read(self, value: object, trail: Trail) -> object:
        if not isinstance(value, list):
            raise wrong_type(value, f"internally tagged enum {self.name}", trail)
        if not isinstance(value, Members):
            return self._read_list(value, trail)
        chosen: str | None = None
        rest = Members()
        for key, member in value:
            if key != self.tag:
                rest.append((key, member))
            elif chosen is not None:
                raise Mismatch("json_parse_error", f"duplicate field `{key}`", trail)
            else:
                chosen = self._variant(member, trail.into(key))
        if chosen is None:
            raise self._untold(trail)
        return self.variants[chosen].read(rest, trail.freeze())

    def _variant(self, value: object, trail: Trail) -> str:
        if not isinstance(value, str):
            raise wrong_type(value, "variant identifier", trail)
        if value not in self.variants:
            known = alternatives(self.variants)
            cause = f"unknown variant `{shown(value)}`, expected {known}"
            raise Mismatch("invalid_value", cause, trail)
        return value

    def _read_list(self, value: list[object], trail: Trail) -> object:
        if value:
            self._variant(value[0], trail.into(0))
        raise self._untold(trail)

    def _untold(self, trail: Trail) -> Mismatch:
        cause = f"missing field `{self.tag}`"
        return Mismatch("missing_required_parameter", cause, trail, self.tag)


@dataclass(frozen=True, slots=True)
class Untagged:
    """The first of several shapes that fits.

    `into` names the type that stands for all variants where the fast decoder cannot tell them
    apart: its members are the union of theirs.
    """

    name: str
    variants: tuple[Shape, ...]
    into: Callable[..., object] | None = None

    def read(self, value: object, trail: Trail) -> object:
        frozen = trail.freeze()
        for variant in self.variants:
            try:
                return self._read_as(variant, value, frozen)
            except Mismatch:
                continue
        cause = f"data did not match any variant of untagged enum {self.name}"
        raise Mismatch("invalid_type", cause, trail)

    def _read_as(self, variant: Shape, value: object, trail: Trail) -> object:
        shape = variant.compile() if isinstance(variant, Lazy) else variant
        if self.into is not None and isinstance(shape, Record) and isinstance(value, Members):
            return self.into(**shape.collect(value, trail))
        return shape.read(value, trail)


@dataclass(frozen=True, slots=True)
class Custom:
    """A shape with a reader of its own."""

    reader: Callable[[object, Trail], object]

    def read(self, value: object, trail: Trail) -> object:
        return self.reader(value, trail)


@dataclass(frozen=True, slots=True)
class Lazy:
    """A shape that is compiled when a value reaches it, which lets types contain themselves."""

    compile: Callable[[], Shape]

    def read(self, value: object, trail: Trail) -> object:
        return self.compile().read(value, trail)


def wrong_type(value: object, expected: str, trail: Trail) -> Mismatch:
    """Return the complaint that `value` is not what was expected."""
    return Mismatch("invalid_type", f"invalid type: {_found(value)}, expected {expected}", trail)


def plain_decimal(value: float) -> str:
    """Return a number in decimal without an exponent, always with a fraction."""
    digits = format(Decimal(repr(value)), "f")
    return digits if "." in digits else f"{digits}.0"


def alternatives(names: Iterable[str]) -> str:
    """Return the names in backticks the way serde lists them."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) <= 1:
        return quoted[0] if quoted else "nothing else"
    if len(quoted) == 2:
        return f"{quoted[0]} or {quoted[1]}"
    return f"one of {', '.join(quoted)}"


def _found(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{'true' if value else 'false'}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{plain_decimal(value)}`"
    if isinstance(value, str):
        return f"string {msgspec.json.encode(shown(value)).decode()}"
    return "map" if isinstance(value, Members) else "sequence"


def _all_plain(shape: Shape, values: list[object]) -> bool:
    """Whether all values are right at a glance; spares long lists of token ids the slow loop."""
    kinds = set(map(type, values))
    if isinstance(shape, Text):
        return kinds == {str}
    if isinstance(shape, Integer) and kinds == {int}:
        numbers = [value for value in values if isinstance(value, int)]
        return shape.low <= min(numbers) and max(numbers) <= shape.high
    return False
