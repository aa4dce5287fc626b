"""Refusals of the simulated engines and their wording on the wire."""

from enum import StrEnum
from typing import Any

import msgspec

__all__ = ("Flavour", "RequestRefused", "Surface", "encode_refusal")


class Flavour(StrEnum):
    """Which engine is simulated; decides routes, fields and error shapes."""

    SGLANG = "sglang"
    VLLM = "vllm"


class Surface(StrEnum):
    """The family of an API route, which decides the error shape."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    NATIVE = "native"


class RequestRefused(Exception):
    """The engine does not take the request: HTTP `status`, a `message`, the `param` at fault."""

    def __init__(self, status: int, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param


_OPENAI_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    408: "RequestTimeoutError",
    413: "RequestEntityTooLargeError",
    429: "RateLimitError",
    503: "ServiceUnavailableError",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def encode_refusal(refusal: RequestRefused, flavour: Flavour, surface: Surface) -> bytes:
    """The JSON body that an engine of this flavour answers a refused request with."""
    message, status = refusal.message, refusal.status
    body: dict[str, Any]
    if surface is Surface.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        body = {"type": "error", "error": {"type": kind, "message": message}}
    elif surface is Surface.NATIVE and flavour is Flavour.SGLANG:
        body = {"error": {"message": message}}
    else:
        kind = _OPENAI_TYPES.get(status, "InternalServerError")
        detail = {"message": message, "type": kind, "param": refusal.param, "code": status}
        body = {"error": detail} if flavour is Flavour.VLLM else {"object": "error", **detail}
    return msgspec.json.encode(body)
