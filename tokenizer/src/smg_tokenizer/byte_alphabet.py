"""The printable stand-ins that byte-level vocabularies use for the 256 bytes."""

from functools import cache


@cache
def byte_of_char() -> dict[str, int]:
    """Stand-in character to byte. Bytes that print stand for themselves, the rest start at U+0100."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    table = {chr(byte): byte for byte in printable}
    hidden = (byte for byte in range(256) if byte not in printable)
    table.update({chr(256 + place): byte for place, byte in enumerate(hidden)})
    return table


@cache
def _to_latin1() -> dict[int, int]:
    """For str.translate: stand-ins to their bytes, and every other character below U+0144 away.

    Characters that are bytes' code points without being stand-ins must not pass for bytes.
    """
    table = {ord(char): byte for char, byte in byte_of_char().items()}
    for byte in range(256):
        table.setdefault(byte, 0x10FFFF)
    return table


def token_bytes(token: str) -> bytes | None:
    """The bytes a byte-level token stands for; None if it has characters of no byte."""
    try:
        return token.translate(_to_latin1()).encode("latin-1")
    except UnicodeEncodeError:
        return None
