"""What the relay lane needs to know about a request's body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class RequestView(Protocol):
    """The routing view of a body; `smg_protocols.Intake` is one."""

    @property
    def model(self) -> str | None:
        """The model asked for; None when the request names none."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        ...

    @property
    def token_ids(self) -> Sequence[int] | None:
        """The prompt as token ids, when it was sent so."""
        ...

    @property
    def request(self) -> object:
        """The decoded request, for what is particular to its API."""
        ...

    def routing_text(self) -> str:
        """The text by which prefixes are compared."""
        ...


@dataclass(frozen=True, slots=True)
class UnreadView:
    """The view of a body that nobody looked into: any worker may have it."""

    model: None = None
    stream: bool = False
    token_ids: None = None
    request: None = None

    def routing_text(self) -> str:
        """Empty: policies that need text always have the body read."""
        return ""


MAX_ROUTING_TOKENS = 512
MAX_ROUTING_TOKENS_BYTES = 4096
_U32_END = 1 << 32


def partition_of(view: RequestView) -> str | None:
    """What keeps this request's cached prefixes apart from others': salt, extra key, adapter."""
    parts = [getattr(view, name, None) for name in ("cache_salt", "extra_key", "lora_path")]
    return "\0".join(part or "" for part in parts) if any(parts) else None


def routing_tokens(header: bytes) -> list[int] | None:
    """Token ids of an `x-smg-routing-tokens` header; None when it breaks the rules or bounds."""
    if len(header) > MAX_ROUTING_TOKENS_BYTES:
        return None
    pieces = [piece.strip() for piece in header.split(b",")]
    if len(pieces) > MAX_ROUTING_TOKENS or not all(map(bytes.isdigit, pieces)):
        return None
    tokens = [int(piece) for piece in pieces]
    return tokens if max(tokens) < _U32_END else None
