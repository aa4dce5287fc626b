"""Starlette responses from error records and plain values."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..errors import Envelope, ErrorRecord, render


def json_response(value: object, status: int = 200) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_response(request: Request, error: ErrorRecord) -> Response:
    """An error in the OpenAI envelope."""
    headers, body = render(error, Envelope.OPENAI, request.scope["state"]["request"].id)
    response = Response(body, error.status)
    response.raw_headers.extend(headers)
    return response
