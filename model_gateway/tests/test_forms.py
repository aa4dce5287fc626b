"""Multipart transcription forms, and error texts found in workers' answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.dialects.transcription import form_parts, read_transcription
from smg_gateway.lanes.headers import request_block, response_headers, upstream_message
from smg_protocols import RequestInvalid

TYPE = b"multipart/form-data; boundary=XX"


def form(*parts: tuple[str, bytes], boundary: bytes = b"XX") -> bytes:
    body = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (boundary, name.encode(), content)
        for name, content in parts
    )
    return body + b"--" + boundary + b"--\r\n"


FILE = ("file", b"RIFF....")
MODEL = ("model", b"whisper")


def test_a_form_gives_model_stream_and_prompt() -> None:
    body = form(FILE, MODEL, ("prompt", "häufig".encode()), ("stream", b"1"))
    read = read_transcription(body, TYPE)
    assert (read.model, read.stream, read.routing_text(), read.file_bytes) == (
        "whisper",
        True,
        "häufig",
        8,
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (form(MODEL), "Missing required 'file' part"),
        (form(FILE), "Missing required 'model' field"),
        (form(FILE, ("model", b"")), "Missing required 'model' field"),
        (form(("file", b""), MODEL), "Uploaded 'file' part is empty"),
        (form(FILE, MODEL, ("stream", b"maybe")), "Invalid 'stream' value: maybe"),
        (form(FILE, MODEL, ("temperature", b"2")), "Invalid 'temperature' value"),
        (form(FILE, MODEL, ("temperature", b"nan")), "Invalid 'temperature' value"),
        (form(FILE, ("model", b"\xff")), "not valid UTF-8"),
        (b"", "Error parsing `multipart/form-data` request"),
        (form(FILE, MODEL)[:-8], "Error parsing `multipart/form-data` request"),
        (form(*[FILE] * 100), "too many parts"),
    ],
)
def test_bad_forms_are_refused_in_plain_text(body: bytes, message: str) -> None:
    with pytest.raises(RequestInvalid) as raised:
        read_transcription(body, TYPE)
    assert (raised.value.status, raised.value.plain_text) == (400, True)
    assert message in raised.value.message


@pytest.mark.parametrize(
    "content_type",
    [None, b"", b"application/json", b"multipart/form-data", b"multipart/mixed; boundary=XX"],
)
def test_a_form_needs_a_boundary(content_type: bytes | None) -> None:
    with pytest.raises(RequestInvalid, match="boundary"):
        read_transcription(form(FILE, MODEL), content_type)


@given(st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=50), max_size=6))
def test_parts_are_found_whatever_they_hold(parts: dict[str, bytes]) -> None:
    boundary = b"----unlikely-boundary-7f3a"
    body = form(*parts.items(), boundary=boundary)
    found = form_parts(body, b'multipart/form-data; boundary="%b"' % boundary)
    assert {name: body[where] for name, where in found.items()} == parts


@given(st.binary(max_size=300))
def test_hostile_forms_raise_nothing_else(body: bytes) -> None:
    try:
        read_transcription(body, TYPE)
    except RequestInvalid as invalid:
        assert invalid.status == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "a", "type": "t"}}', "a"),
        (b'{"object": "error", "message": "b"}', "b"),
        (b'{"error": "c"}', "c"),
        (b'{"detail": "d"}', "d"),
        (b'{"detail": [{"loc": 1}]}', '{"detail": [{"loc": 1}]}'),
        (b"plain\n", "plain"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_the_message_of_a_workers_error_is_found(body: bytes, message: str) -> None:
    assert upstream_message(body) == message


def test_headers_that_connection_names_go_no_further() -> None:
    headers = [(b"connection", b"close, x-hop"), (b"x-hop", b"1"), (b"x-end", b"2")]
    assert request_block(headers) == b"x-end: 2\r\n"
    assert response_headers(headers) == [(b"x-end", b"2")]


def test_connection_cannot_name_away_the_content_type() -> None:
    headers = [(b"content-type", b"a/b"), (b"connection", b"content-type")]
    assert request_block(headers) == b"content-type: a/b\r\n"
