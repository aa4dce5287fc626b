from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel
from smg_mock_worker.transcription import parse_multipart, parse_transcription

FORM = "multipart/form-data; boundary=frontier"


def encode(parts: Mapping[str, bytes]) -> bytes:
    sections = [
        b'--frontier\r\nContent-Disposition: form-data; name="%b"; filename="x"\r\n\r\n%b\r\n'
        % (name.encode(), content)
        for name, content in parts.items()
    ]
    return b"".join(sections) + b"--frontier--\r\n"


def call_with_parts(**parts: bytes) -> Call:
    return Call(
        method="POST",
        path="/v1/audio/transcriptions",
        query={},
        headers={"Content-Type": FORM},
        body=encode(parts),
        received_at=0.0,
    )


@given(st.dictionaries(st.sampled_from(["file", "model", "x"]), st.binary(max_size=80)))
def test_parts_come_back_byte_for_byte(parts: dict[str, bytes]) -> None:
    assert parse_multipart(FORM, encode(parts)) == parts


def test_a_preamble_and_nameless_parts_are_skipped() -> None:
    body = b"hello\r\n--frontier\r\nX: y\r\n\r\nlost\r\n" + encode({"file": b"kept"})

    assert parse_multipart(FORM, body) == {"file": b"kept"}


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data"])
def test_other_bodies_are_refused(content_type: str) -> None:
    with pytest.raises(RequestRefused, match="multipart/form-data"):
        parse_multipart(content_type, b"")


def test_the_text_follows_from_the_file(
    served: ServedModel, whole: Callable[[Exchange], Any]
) -> None:
    texts = [
        whole(parse_transcription(call_with_parts(file=file, model=b"mock-model"), served))
        for file in (b"RIFF-one", b"RIFF-one", b"RIFF-two")
    ]

    assert texts[0] == texts[1] != texts[2]
    assert list(texts[0]) == ["text"]


def test_a_longer_file_has_a_longer_prompt(served: ServedModel) -> None:
    exchange = parse_transcription(call_with_parts(file=b"x" * 2_500), served)

    assert len(exchange.choices[0].prompt) == 3


@pytest.mark.parametrize(("wish", "stream"), [(b"true", True), (b"1", True), (b"false", False)])
def test_a_transcription_is_streamed_on_demand(
    served: ServedModel,
    whole: Callable[[Exchange], Any],
    events: Callable[[Exchange], list[Any]],
    wish: bytes,
    stream: bool,
) -> None:
    exchange = parse_transcription(call_with_parts(file=b"x", stream=wish), served)
    deltas = [event["choices"][0]["delta"] for event in events(exchange)]

    assert exchange.stream is stream
    assert "".join(delta.get("content", "") for delta in deltas) == whole(exchange)["text"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"model": b"mock-model"}, "'file' is missing or empty"),
        ({"file": b""}, "'file' is missing or empty"),
        ({"file": b"x", "model": b"nope"}, "does not exist"),
        ({"file": b"x" * 2**20}, "too long"),
    ],
)
def test_forms_that_make_no_sense_are_refused(
    served: ServedModel, parts: dict[str, bytes], message: str
) -> None:
    with pytest.raises(RequestRefused, match=message):
        parse_transcription(call_with_parts(**parts), served)
