"""The one look at a request body: what routing needs of it, or why it is refused."""

import re
from typing import Any, Final

import msgspec

from smg_protocols.contracts import CONTRACTS, Contract
from smg_protocols.diagnosis import diagnose
from smg_protocols.dialect import Dialect
from smg_protocols.errors import RequestInvalid
from smg_protocols.fast_path import decode_surely

__all__ = ("Intake", "read_intake")

_JSON_TYPE: Final = re.compile(
    rb"\s*application/(?:json|[\w!#$&^.+-]+\+json)\s*(?:;.*)?", re.IGNORECASE | re.DOTALL
)


class Intake:
    """A request body as routing sees it.

    `dialect` is the API, `request` the decoded Struct of that API. `model` is None when the
    request names no model. `stream` says whether the answer is to be streamed.
    """

    __slots__ = ("_contract", "dialect", "model", "request", "stream")

    def __init__(self, dialect: Dialect, request: Any) -> None:
        self.dialect = dialect
        self.request: Any = request
        model = getattr(request, "model", None)
        if model == "" and dialect is Dialect.GENERATE:
            # On this route no name and an empty one both mean any model.
            model = None
        self.model: str | None = model
        self.stream: bool = getattr(request, "stream", None) is True
        self._contract = CONTRACTS[dialect]

    @property
    def rid(self) -> str | None:
        """The request's own id, when it is a single string."""
        return _text_member(self.request, "rid")

    @property
    def cache_salt(self) -> str | None:
        """The salt that keeps prefix caches apart."""
        return _text_member(self.request, "cache_salt")

    @property
    def extra_key(self) -> str | None:
        """The extra key of the prefix cache."""
        return _text_member(self.request, "extra_key")

    @property
    def lora_path(self) -> str | None:
        """The adapter asked for."""
        return _text_member(self.request, "lora_path")

    @property
    def token_ids(self) -> list[int] | None:
        """The prompt as token ids, when it was sent so and is a single one."""
        find = self._contract.token_ids
        return None if find is None else find(self.request)

    @property
    def choices(self) -> int:
        """How many answers are asked for, or how many prompts a list holds; at least 1."""
        count = self._contract.choices
        return 1 if count is None else count(self.request)

    def routing_text(self) -> str:
        """Return the text by which prefixes are compared; computed at each call."""
        return self._contract.text(self.request)

    def __repr__(self) -> str:
        return f"Intake({self.dialect.name}, model={self.model!r}, stream={self.stream})"


def read_intake(
    dialect: Dialect, body: bytes, *, content_type: bytes | None, over_http: bool = True
) -> Intake:
    """Read a request body of `dialect`; `content_type` is the header's value or None.

    `over_http` says that the workers are reached over HTTP, where some requests that a gateway
    can answer itself have nowhere to go: messages with `max_tokens` 0.

    Raises RequestInvalid, and nothing else whatever the body holds.
    """
    contract = CONTRACTS[dialect]
    if content_type != b"application/json":
        _check_content_type(contract, content_type)
    request = decode_surely(contract, body)
    intake = Intake(dialect, diagnose(contract, body) if request is None else request)
    if over_http and dialect is Dialect.MESSAGES and intake.request.max_tokens == 0:
        raise RequestInvalid(
            "max_tokens: 0 cannot be relayed to a worker over HTTP",
            code="max_tokens_zero_not_relayed",
        )
    return intake


def _check_content_type(contract: Contract, content_type: bytes | None) -> None:
    if content_type is not None and _JSON_TYPE.fullmatch(content_type):
        return
    if contract.plain:
        raise RequestInvalid(
            "Expected request with `Content-Type: application/json`", status=415, plain_text=True
        )
    raise RequestInvalid("Missing Content-Type: application/json header", code="json_parse_error")


def _text_member(request: object, name: str) -> str | None:
    value = getattr(request, name, None)
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value) if bytes(memoryview(value)[:1]) == b'"' else None
    return value if isinstance(value, str) else None
