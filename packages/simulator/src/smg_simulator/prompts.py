"""Prompts that traces do not hold: stand-ins of the right length, equal where blocks are equal."""

from __future__ import annotations

from array import array
from binascii import b2a_base64
from collections.abc import Sequence

from smg_simulator.trace import Trace, TraceRequest

__all__ = ("DEFAULT_CHARACTERS_PER_TOKEN", "PromptStandIn")

DEFAULT_CHARACTERS_PER_TOKEN = 4.0

_SEED_CHARACTERS = 8
_NAME_BITS = 48
# Odd, so multiplication modulo a power of two keeps different names different; it spreads
# neighbouring names so that unlike blocks part at their first characters, as prompts do.
_SCATTER = 0x9E37_79B9_7F4B
_TOKEN_BITS = 24


class PromptStandIn:
    """Text and token ids for the prompts of one trace.

    Two prompts start alike exactly as far as their blocks are the same, give or take the few
    characters that unlike texts share by chance. Lengths are those of the trace, so that
    thresholds and bounds counted in characters or tokens mean what they mean in production. Only
    a short seed per block is kept between calls.
    """

    def __init__(
        self, trace: Trace, characters_per_token: float = DEFAULT_CHARACTERS_PER_TOKEN
    ) -> None:
        self._block_size = trace.block_size
        self._per_token = characters_per_token
        # Below the seed's length two pieces of text could be alike.
        self._characters = max(_SEED_CHARACTERS, round(trace.block_size * characters_per_token))
        self._texts: dict[int, str] = {}
        self._tokens: dict[int, bytes] = {}

    def text(self, request: TraceRequest) -> str:
        """The request's prompt as text."""
        blocks = request.blocks
        if not blocks:
            return ""
        repeat = -(-self._characters // _SEED_CHARACTERS)
        cut = self._characters
        seeds = self._texts
        pieces: list[str] = []
        for name in blocks:
            seed = seeds.get(name)
            if seed is None:
                seed = seeds[name] = _text_seed(name)
            pieces.append(seed * repeat)
        if repeat * _SEED_CHARACTERS != cut:
            pieces = [piece[:cut] for piece in pieces]
        rest = request.prompt_tokens - (len(blocks) - 1) * self._block_size
        pieces[-1] = pieces[-1][: max(_SEED_CHARACTERS, round(rest * self._per_token))]
        return "".join(pieces)

    def tokens(self, request: TraceRequest) -> array[int]:
        """The request's prompt as token ids, unsigned and at most 24 bits wide."""
        tokens = self.block_tokens(request.blocks)
        del tokens[request.prompt_tokens :]
        return tokens

    def block_tokens(self, names: Sequence[int]) -> array[int]:
        """The token ids of whole blocks, one after the other."""
        seeds = self._tokens
        repeat = -(-self._block_size // 2)
        pieces: list[bytes] = []
        for name in names:
            seed = seeds.get(name)
            if seed is None:
                seed = seeds[name] = _token_seed(name)
            pieces.append(seed * repeat)
        width = array("I").itemsize
        if self._block_size % 2:
            pieces = [piece[:-width] for piece in pieces]
        tokens = array("I")
        tokens.frombytes(b"".join(pieces))
        return tokens


def _scattered(name: int) -> int:
    return name * _SCATTER % (1 << _NAME_BITS)


def _text_seed(name: int) -> str:
    return b2a_base64(_scattered(name).to_bytes(_NAME_BITS // 8), newline=False).decode()


def _token_seed(name: int) -> bytes:
    scattered = _scattered(name)
    return array("I", (scattered >> _TOKEN_BITS, scattered % (1 << _TOKEN_BITS))).tobytes()
