"""Machine numbers: bounds in double precision that mean ranges in single precision."""

import math
import struct
from typing import Annotated

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_protocols.declarations import shape_of
from smg_protocols.faults import ROOT, Mismatch
from smg_protocols.shapes import plain_decimal
from smg_protocols.wire import U64, USize, f32, f32_value

RANGES = [(-2.0, 2.0), (0.0, 2.0), (0.0, 1.0), (0.1, 0.3), (-3.0, -1.0)]


def single(value: float) -> float:
    """Round by way of the standard library, the reference of these tests."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def decodes(kind: object, text: str) -> bool:
    try:
        msgspec.json.decode(text.encode(), type=kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(("low", "high"), RANGES)
@settings(deadline=None)
@given(data=st.data())
def test_the_decoder_accepts_exactly_what_rounds_into_the_range(
    low: float, high: float, data: st.DataObject
) -> None:
    low, high = single(low), single(high)
    near = st.sampled_from([low, high]).flatmap(lambda bound: st.floats(bound - 1e-6, bound + 1e-6))
    value = data.draw(near | st.floats(-4, 4) | st.floats(-1e-44, 1e-44))
    kind = Annotated[float, f32(low, high)]

    assert decodes(kind, repr(value)) == (low <= single(value) <= high)


@settings(deadline=None)
@given(value=st.floats(allow_nan=False))
def test_rounding_never_fails(value: float) -> None:
    rounded = f32_value(value)

    assert math.isinf(rounded) or rounded == single(value)


def test_what_is_too_large_becomes_infinite() -> None:
    assert (f32_value(1e39), f32_value(-1e39)) == (math.inf, -math.inf)


@settings(deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_decimals_are_printed_without_exponent_and_exactly(value: float) -> None:
    text = plain_decimal(value)

    assert "e" not in text.lower()
    assert "." in text
    assert float(text) == value


@pytest.mark.parametrize("kind", [U64, USize])
def test_the_upper_half_of_64_bits_is_left_to_the_diagnosis(kind: object) -> None:
    assert decodes(kind, str(2**63 - 1))
    assert not decodes(kind, str(2**63))
    assert shape_of(kind).read(2**64 - 1, ROOT) == 2**64 - 1
    with pytest.raises(Mismatch):
        shape_of(kind).read(2**64, ROOT)
