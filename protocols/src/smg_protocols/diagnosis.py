"""The slow path: says exactly what is wrong with a body that the fast path did not accept."""

from typing import Final

import msgspec

from smg_protocols.contracts import Contract
from smg_protocols.declarations import broken_rules, shape_of
from smg_protocols.document import line_and_column, position_after, read_document
from smg_protocols.errors import RequestInvalid
from smg_protocols.faults import ROOT, Broken, Mismatch, SyntaxFault

__all__ = ("diagnose",)

_SYNTAX: Final = "Failed to parse the request body as JSON: "
_TYPES: Final = "Failed to deserialize the JSON body into the target type: "


def diagnose(contract: Contract, body: bytes) -> msgspec.Struct:
    """Return the request if the body is acceptable after all.

    Raises RequestInvalid.
    """
    try:
        request = shape_of(contract.declaration).read(read_document(body), ROOT)
    except SyntaxFault as fault:
        raise _syntax_error(contract, body, fault.cause, fault.offset) from None
    except RecursionError:
        # The caller's own stack may leave less room than the limit on nesting needs.
        raise _syntax_error(contract, body, "recursion limit exceeded", None) from None
    except Mismatch as mismatch:
        if mismatch.code == "invalid_json":
            path = str(mismatch.trail)
            cause = f"{path}: {mismatch.cause}" if path else mismatch.cause
            offset = position_after(body, mismatch.trail)
            raise _syntax_error(contract, body, cause, offset) from None
        raise _type_error(contract, body, mismatch) from None
    assert isinstance(request, msgspec.Struct)
    if not contract.plain:
        _check_rules(contract, request)
    return request


def _check_rules(contract: Contract, request: msgspec.Struct) -> None:
    broken = sorted(broken_rules(request), key=_field_of)
    if not broken and contract.combination is not None:
        combination = contract.combination(request)
        broken = [] if combination is None else [combination]
    if broken:
        message = "\n".join(each.message for each in broken)
        raise RequestInvalid(message, code=broken[0].code, param=broken[0].field)


def _field_of(broken: Broken) -> str:
    return broken.field or ""


def _syntax_error(
    contract: Contract, body: bytes, cause: str, offset: int | None
) -> RequestInvalid:
    text = f"{_SYNTAX}{cause}{_position(body, len(body) if offset is None else offset)}"
    if contract.plain:
        return RequestInvalid(text, plain_text=True)
    return RequestInvalid(f"JSON syntax error: {text}", code="invalid_json")


def _type_error(contract: Contract, body: bytes, mismatch: Mismatch) -> RequestInvalid:
    path = str(mismatch.trail)
    prefix = f"{path}: " if path else ""
    where = _position(body, position_after(body, mismatch.trail))
    text = f"{_TYPES}{prefix}{mismatch.cause}{where}"
    if contract.plain:
        return RequestInvalid(text, status=422, plain_text=True)
    return RequestInvalid(f"Invalid JSON data: {text}", code=mismatch.code, param=mismatch.param)


def _position(body: bytes, offset: int) -> str:
    line, column = line_and_column(body, offset)
    return f" at line {line} column {column}"
