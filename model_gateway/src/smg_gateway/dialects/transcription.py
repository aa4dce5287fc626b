"""Audio transcription: a multipart form, looked at but relayed as it came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from smg_protocols import RequestInvalid

MAX_PARTS = 64
MAX_FIELD_BYTES = 64 * 1024
"""Bound of a text field that is read; files are only measured."""

_BOUNDARY = re.compile(
    rb"""multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))""",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(rb';\s*name="((?:[^"\\]|\\.)*)"|;\s*name=([^\s;"]+)', re.IGNORECASE)
_DISPOSITION = re.compile(rb"^content-disposition:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """The routing view of a transcription request."""

    model: str | None
    stream: bool
    prompt: str
    file_bytes: int
    token_ids: None = None
    request: None = None

    def routing_text(self) -> str:
        """The prompt field, empty when absent."""
        return self.prompt


def read_transcription(body: bytes, content_type: bytes | None) -> TranscriptionForm:
    """Read the form; raises `RequestInvalid` (plain text, 400) as SMG words it."""
    parts = form_parts(body, content_type)
    if "file" not in parts:
        raise _invalid("Missing required 'file' part")
    if parts["file"] == slice(0, 0):
        raise _invalid("Uploaded 'file' part is empty")
    model = _field(body, parts, "model")
    if not model:
        raise _invalid("Missing required 'model' field")
    stream = _field(body, parts, "stream")
    if stream is not None and stream.lower() not in _SWITCHES:
        raise _invalid(f"Invalid 'stream' value: {stream}")
    _check_temperature(_field(body, parts, "temperature"))
    file = parts["file"]
    return TranscriptionForm(
        model=model,
        stream=stream is not None and _SWITCHES[stream.lower()],
        prompt=_field(body, parts, "prompt") or "",
        file_bytes=file.stop - file.start,
    )


def form_parts(body: bytes, content_type: bytes | None) -> Mapping[str, slice]:
    """Where each named part's content lies in `body`; an empty part is `slice(0, 0)`."""
    found = _BOUNDARY.match(content_type.strip() if content_type else b"")
    if found is None:
        raise _invalid("Invalid `boundary` for `multipart/form-data` request")
    delimiter = b"--" + (found[1] or found[2])
    position = body.find(delimiter)
    separator = b"\r\n" + delimiter
    parts: dict[str, slice] = {}
    for _ in range(MAX_PARTS):
        if position < 0:
            raise _invalid("Error parsing `multipart/form-data` request: incomplete form")
        position += len(delimiter)
        if body[position : position + 2] == b"--":
            return parts
        head_end = body.find(b"\r\n\r\n", position, position + MAX_FIELD_BYTES)
        if head_end < 0:
            raise _invalid("Error parsing `multipart/form-data` request: incomplete part headers")
        start = head_end + 4
        end = body.find(separator, start - 2)
        if end < 0:
            raise _invalid("Error parsing `multipart/form-data` request: incomplete part")
        name = _part_name(body[position:head_end])
        if name is not None:
            parts[name] = slice(start, end) if end > start else slice(0, 0)
        position = end + 2
    raise _invalid("Error parsing `multipart/form-data` request: too many parts")


def _part_name(head: bytes) -> str | None:
    disposition = _DISPOSITION.search(head)
    found = _NAME.search(disposition[1]) if disposition is not None else None
    if found is None:
        return None
    return (found[1] if found[1] is not None else found[2]).decode("utf-8", "replace")


def _field(body: bytes, parts: Mapping[str, slice], name: str) -> str | None:
    where = parts.get(name)
    if where is None:
        return None
    if where.stop - where.start > MAX_FIELD_BYTES:
        raise _invalid(f"The '{name}' field is too long")
    try:
        return body[where].decode()
    except UnicodeDecodeError:
        raise _invalid(f"The '{name}' field is not valid UTF-8") from None


def _check_temperature(text: str | None) -> None:
    if text is None:
        return
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise _invalid(f"Invalid 'temperature' value: {text}. It must be between 0 and 1")


def _invalid(message: str) -> RequestInvalid:
    return RequestInvalid(message, status=400, plain_text=True)
