"""Error records and the one table that turns them into each API's wire shape.

Shapes and codes follow SMG 1.13.0: gateway-made errors carry `type`, `code`, `message`, `param`
in that order and the header `x-smg-error-code`; request validation errors put `message` first and
have no such header; the Messages API has an envelope of its own; a few routes answer plain text.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import msgspec
from smg_protocols import RequestInvalid

JSON = b"application/json"
PLAIN_TEXT = b"text/plain; charset=utf-8"

_encode = msgspec.json.Encoder().encode


class Envelope(enum.Enum):
    """The error shape of an API."""

    OPENAI = enum.auto()
    ANTHROPIC = enum.auto()


class Kind(enum.Enum):
    """Who made the error, which decides its shape within an envelope."""

    GATEWAY = enum.auto()
    """The gateway: routing, upstream transport, limits."""
    REQUEST = enum.auto()
    """The request did not pass validation."""
    TEXT = enum.auto()
    """A route that answers plain text whatever the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """One error: HTTP status, machine-readable code, and a message for people."""

    status: int
    code: str | None
    message: str
    param: str | None = None
    kind: Kind = Kind.GATEWAY
    retry_after_s: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


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


def anthropic_type(status: int) -> str:
    """The Messages API's `error.type` for an HTTP status."""
    found = _ANTHROPIC_TYPES.get(status)
    if found is not None:
        return found
    return "invalid_request_error" if 400 <= status < 500 else "api_error"


def openai_type(status: int) -> str:
    """The OpenAI envelope's `error.type` for a gateway-made error."""
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def anthropic_body(status: int, message: str, request_id: str) -> bytes:
    """The Messages API's error body."""
    return _encode({
        "type": "error",
        "error": {"type": anthropic_type(status), "message": message},
        "request_id": request_id,
    })


def render(
    error: ErrorRecord, envelope: Envelope, request_id: str
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers (content-type and the error's own; no content-length) and body of an error."""
    headers: list[tuple[bytes, bytes]] = []
    if error.kind is Kind.TEXT:
        headers.append((b"content-type", PLAIN_TEXT))
        body = error.message.encode()
    elif envelope is Envelope.ANTHROPIC:
        headers.append((b"content-type", JSON))
        body = anthropic_body(error.status, error.message, request_id)
    elif error.kind is Kind.REQUEST:
        headers.append((b"content-type", JSON))
        body = _encode({
            "error": {
                "message": error.message,
                "type": "invalid_request_error",
                "param": error.param,
                "code": error.code,
            }
        })
    else:
        headers.append((b"content-type", JSON))
        body = _encode({
            "error": {
                "type": openai_type(error.status),
                "code": error.code,
                "message": error.message,
                "param": error.param,
            }
        })
    if error.kind is Kind.GATEWAY and error.code is not None:
        headers.append((b"x-smg-error-code", error.code.encode()))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    headers.extend(error.headers)
    return headers, body


def stream_error_frame(message: str, envelope: Envelope) -> bytes:
    """The server-sent event that tells of a failure after the status has been sent."""
    if envelope is Envelope.ANTHROPIC:
        payload = _encode({"type": "error", "error": {"type": "api_error", "message": message}})
        return b"event: error\ndata: " + payload + b"\n\n"
    payload = _encode({"error": {"message": f"Stream error: {message}", "type": "stream_error"}})
    return b"data: " + payload + b"\n\n"


def refused(invalid: RequestInvalid) -> ErrorRecord:
    """The record of a request that did not pass validation."""
    return ErrorRecord(
        status=invalid.status,
        code=invalid.code,
        message=invalid.message,
        param=invalid.param,
        kind=Kind.TEXT if invalid.plain_text else Kind.REQUEST,
    )


def parser_header_invalid(message: str) -> ErrorRecord:
    """400 for a header `x-smg-parser` that names no family of output parsers."""
    return ErrorRecord(status=400, code="invalid_parser_header", message=message)


def unknown_url(method: str, path: str) -> ErrorRecord:
    """404 for a path that no route has."""
    return ErrorRecord(status=404, code="unknown_url", message=f"Invalid URL ({method} {path})")


def method_not_allowed(method: str, path: str, allowed: str) -> ErrorRecord:
    """405 with the `Allow` header."""
    return ErrorRecord(
        status=405,
        code="method_not_allowed",
        message=f"Invalid URL ({method} {path})",
        headers=((b"allow", allowed.encode()),),
    )


BODY_TOO_LARGE = ErrorRecord(
    status=413,
    code="request_body_too_large",
    message="Request body exceeded the payload limit (max_payload_size)",
)
INTERNAL_ERROR = ErrorRecord(
    status=500, code="internal_error", message="The gateway failed to handle the request"
)
BODY_TIMEOUT = ErrorRecord(
    status=408,
    code="request_body_timeout",
    message="The request body did not arrive in time",
)
NO_AVAILABLE_WORKERS = ErrorRecord(
    status=503,
    code="no_available_workers",
    message="All workers are unavailable (circuit breaker open or unhealthy)",
    retry_after_s=1,
)


def overload_shed(model: str | None, retry_after_s: int) -> ErrorRecord:
    """503 when every worker of a model reports too much load."""
    return ErrorRecord(
        status=503,
        code=OVERLOAD_SHED_CODE,
        message=f"All workers for model '{model or 'unknown'}' are overloaded",
        retry_after_s=retry_after_s,
    )


OVERLOAD_SHED_CODE = "worker_overload_protection_shed"
MISSING_MODEL = ErrorRecord(
    status=400,
    code="missing_model",
    message="The request must name its model: this gateway serves several",
    param="model",
)
NO_WORKERS = ErrorRecord(status=503, code="no_workers", message="No workers are available")
NO_MODELS = ErrorRecord(status=503, code="no_models_available", message="No models available")


def model_not_found(model: str) -> ErrorRecord:
    """404 for a model that no worker serves."""
    return ErrorRecord(
        status=404,
        code="model_not_found",
        message=f"No worker available for model '{model}'",
    )
