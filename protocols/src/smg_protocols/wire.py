"""The vocabulary of the declarations: machine numbers, ranges and names of unions.

A declaration is a msgspec Struct. What the fast decoder needs (bounds, lengths) is in
`msgspec.Meta`; what only the diagnosis needs (the machine type's name, the union's name, the
rule that a bound stands for) rides along in the same annotation, so nothing is declared twice.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from smg_protocols.faults import Broken, Trail
from smg_protocols.shapes import Integer, Real, plain_decimal

__all__ = (
    "F32",
    "F64",
    "I32",
    "I64",
    "U32",
    "U64",
    "AnyObject",
    "Named",
    "Nested",
    "OneOf",
    "ReadBy",
    "Ruled",
    "Stop",
    "StringMap",
    "StringOrArray",
    "TopK",
    "TopP",
    "USize",
    "f32",
    "f32_value",
    "i32",
    "integer_rule",
    "u32",
    "usize",
)

Rule = Callable[[str, Any], Broken | None]

_U32_MAX: Final = 2**32 - 1
_I64_MAX: Final = 2**63 - 1
_MACHINE: Final = {
    "u32": Integer("u32", 0, _U32_MAX),
    "u64": Integer("u64", 0, 2**64 - 1),
    "usize": Integer("usize", 0, 2**64 - 1),
    "i32": Integer("i32", -(2**31), 2**31 - 1),
    "i64": Integer("i64", -(2**63), _I64_MAX),
}


@dataclass(frozen=True, slots=True)
class Named:
    """Gives the union or record beside it the name that complaints use."""

    name: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """Declares an untagged union: variants in the order they are tried.

    `into` builds the value for every record variant; it is what the fast decoder decodes to.
    """

    name: str
    variants: tuple[Any, ...]
    into: Callable[..., object] | None = None


@dataclass(frozen=True, slots=True)
class ReadBy:
    """Declares that the diagnosis reads the value with this function."""

    reader: Callable[[object, Trail], object]


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule on a member's value: called with the member's name and its value, null excepted."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Nested:
    """The rules of the record beside it apply too, their fields prefixed with this member."""


class AnyObject(msgspec.Struct, frozen=True):
    """Any JSON object; its members are looked at by nobody, so none is kept."""


def u32(low: int = 0, high: int = _U32_MAX) -> msgspec.Meta:
    """An unsigned 32-bit integer whose rule is low <= value <= high."""
    return _integer("u32", low, high)


def usize(low: int = 0, high: int = _I64_MAX) -> msgspec.Meta:
    """An unsigned 64-bit size; values above the signed range are left to the diagnosis."""
    return _integer("usize", low, high)


def i32(low: int, high: int) -> msgspec.Meta:
    """A signed 32-bit integer, accepted by the fast decoder within low..high only."""
    return msgspec.Meta(ge=low, le=high, extra={"shape": _MACHINE["i32"]})


def f32(low: float, high: float) -> msgspec.Meta:
    """A single precision number whose rule is low <= value <= high after rounding.

    The fast decoder compares in double precision, so its bounds are those doubles that still
    round into the range.
    """

    def rule(field: str, value: float) -> Broken | None:
        return _decimal_rule(field, f32_value(value), low, high)

    return msgspec.Meta(
        ge=_rounding_edge(low, -math.inf),
        le=_rounding_edge(high, math.inf),
        extra={"shape": Real("f32"), "rule": rule},
    )


def f32_value(value: float) -> float:
    """Round to single precision; what is too large becomes infinite."""
    try:
        rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def integer_rule(field: str, value: int, low: int, high: int | None) -> Broken | None:
    """Check low <= value <= high."""
    if value < low:
        code = "integer_below_min_value"
    elif high is not None and value > high:
        code = "integer_above_max_value"
    else:
        return None
    return Broken(code, _range_text(low, high, value), field)


def _integer(name: str, low: int, high: int) -> msgspec.Meta:
    machine = _MACHINE[name]
    limit = None if high >= _U32_MAX else high

    def rule(field: str, value: int) -> Broken | None:
        return integer_rule(field, value, low, limit)

    extra: dict[str, object] = {"shape": machine}
    if low != machine.low or limit is not None:
        extra["rule"] = rule
    return msgspec.Meta(ge=low, le=min(high, _I64_MAX), extra=extra)


def _decimal_rule(field: str, value: float, low: float, high: float) -> Broken | None:
    if value < low:
        code = "decimal_below_min_value"
    elif value > high:
        code = "decimal_above_max_value"
    else:
        return None
    return Broken(code, _range_text(low, high, value), field)


def _range_text(low: float, high: float | None, value: float) -> str:
    bounds = f'"min": Number({low})'
    if high is not None:
        bounds += f', "max": Number({high})'
    return f'Validation error: range [{{{bounds}, "value": Number({value})}}]'


def _rounding_edge(bound: float, towards: float) -> float:
    """Return the double farthest towards `towards` that rounds to the single `bound`."""
    (bits,) = struct.unpack("I", struct.pack("f", bound))
    outward = (towards > 0) == (bound > 0)
    if bound == 0:
        tiny = struct.unpack("f", struct.pack("I", 1))[0]
        return math.copysign(tiny / 2, towards)
    (neighbour,) = struct.unpack("f", struct.pack("I", bits + (1 if outward else -1)))
    midpoint: float = (bound + neighbour) / 2
    # A tie rounds to the even neighbour, so an odd bound stops short of the midpoint.
    return midpoint if bits % 2 == 0 else math.nextafter(midpoint, bound)


def _top_p_rule(field: str, value: float) -> Broken | None:
    value = f32_value(value)
    if 0.0 < value <= 1.0:
        return None
    code, side, bound = "decimal_above_max_value", "above maximum", "<= 1.0"
    if value <= 0.0:
        code, side, bound = "decimal_below_min_value", "below minimum", "> 0.0"
    text = (
        f"Invalid '{field}': decimal {side} value. "
        f"Expected a value {bound}, but got {_shortest(value)} instead."
    )
    return Broken(code, text, field)


def _shortest(value: float) -> str:
    """Return the fewest digits that still round to this single precision value."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if f32_value(float(text)) == value:
            break
    return plain_decimal(float(text)).removesuffix(".0")


def _top_k_rule(field: str, value: int) -> Broken | None:
    if value == -1 or value >= 1:
        return None
    text = f'Validation error: {field} must be -1 (disabled) or at least 1 [{{"value": {value}}}]'
    return Broken("invalid_value", text, field)


def _stop_rule(field: str, value: str | list[str]) -> Broken | None:
    if isinstance(value, list) and len(value) > 4:
        text = (
            f"Invalid '{field}': array too long. Expected an array with maximum length 4, "
            f"but got an array with length {len(value)} instead."
        )
        return Broken("array_above_max_length", text, field)
    if value == "" or (isinstance(value, list) and "" in value):
        text = "Validation error: stop sequences cannot be empty"
        return Broken("invalid_value", text, field)
    return None


U32 = Annotated[int, u32()]
U64 = Annotated[int, msgspec.Meta(ge=0, le=_I64_MAX, extra={"shape": _MACHINE["u64"]})]
USize = Annotated[int, usize()]
I32 = Annotated[int, i32(-(2**31), 2**31 - 1)]
I64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=_I64_MAX, extra={"shape": _MACHINE["i64"]})]
F32 = Annotated[float, msgspec.Meta(extra={"shape": Real("f32")})]
F64 = Annotated[float, msgspec.Meta(extra={"shape": Real("f64")})]

# top_k = 0 passes the bounds below; the dialects ask for it themselves.
TopK = Annotated[
    int, msgspec.Meta(ge=-1, le=2**31 - 1, extra={"shape": _MACHINE["i32"], "rule": _top_k_rule})
]
TopP = Annotated[
    float,
    msgspec.Meta(
        gt=_rounding_edge(0.0, math.inf),
        le=_rounding_edge(1.0, math.inf),
        extra={"shape": Real("f32"), "rule": _top_p_rule},
    ),
]

StringOrArray = Annotated[str | list[str], Named("StringOrArray")]
StringMap = dict[str, str]
_Sequence = Annotated[str, msgspec.Meta(min_length=1)]
Stop = Annotated[
    _Sequence | Annotated[list[_Sequence], msgspec.Meta(max_length=4)],
    Named("StringOrArray"),
    Ruled(_stop_rule),
]
