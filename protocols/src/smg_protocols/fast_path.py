"""The fast path: one decode in C and a few tests accept nearly every good body.

It never refuses: whatever it is not sure about goes to the diagnosis, which alone decides.
"""

from typing import Final

import msgspec

from smg_protocols.contracts import Contract
from smg_protocols.document import CLOSE_LOOK_LIMIT_BYTES, looks_deep

__all__ = ("decode_surely",)

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_surely(contract: Contract, body: bytes) -> msgspec.Struct | None:
    """Return the request if it is acceptable beyond doubt, else None."""
    for decode in contract.decoders:
        try:
            request: msgspec.Struct = decode(body)
            if _is_surely_fine(contract, request, body):
                return request
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None


def _is_surely_fine(contract: Contract, request: msgspec.Struct, body: bytes) -> bool:
    if contract.second_look is not None and contract.second_look(request):
        return False
    if looks_deep(body):
        return False
    return len(body) > CLOSE_LOOK_LIMIT_BYTES or _survives_close_look(body)


def _survives_close_look(body: bytes) -> bool:
    """Whether the body is UTF-8 and gives no outermost member twice; may err towards False.

    Raises UnicodeDecodeError.
    """
    if not body.isascii():
        body.decode()
    members = _MEMBERS.decode(body)
    count = len(members)
    length = 1 + 4 * count + sum(map(len, members))
    for value in members.values():
        length += len(memoryview(value))
    # The two ways in which libraries print JSON leave room for no further member.
    if len(body) - length in (0, 2 * count - 1):
        return True
    return all(body.count(f'"{key}"'.encode()) == 1 for key in members)
