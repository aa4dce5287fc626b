"""Bodies of which only the model matters: whatever else they hold is the worker's business."""

from __future__ import annotations

import msgspec
from smg_protocols import RequestInvalid


class GenericBody(msgspec.Struct):
    """Any JSON object that may name a model; a `RequestView`."""

    model: str | None = None
    stream_flag: bool | None = msgspec.field(default=None, name="stream")
    input: object = None

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.stream_flag is True

    @property
    def token_ids(self) -> None:
        """Never known."""
        return None

    @property
    def request(self) -> GenericBody:
        """The body itself."""
        return self

    def routing_text(self) -> str:
        """The input where it is plain text."""
        return self.input if isinstance(self.input, str) else ""


_decode = msgspec.json.Decoder(GenericBody).decode


def read_generic(body: bytes, content_type: bytes | None) -> GenericBody:
    """Read a JSON object; raises `RequestInvalid`."""
    if content_type is None or b"json" not in content_type.lower():
        raise RequestInvalid(
            "Missing Content-Type: application/json header", code="json_parse_error"
        )
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise RequestInvalid(f"Invalid JSON data: {error}", code="invalid_type") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestInvalid(f"JSON syntax error: {error}", code="invalid_json") from None
