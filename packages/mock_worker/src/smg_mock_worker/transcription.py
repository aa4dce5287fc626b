"""Audio transcription: the text follows from the bytes of the file."""

import re
import zlib
from collections.abc import Mapping, Sequence

from smg_mock_worker.answers import Answer, compose_text
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import (
    DONE_FRAME,
    Call,
    Choice,
    Exchange,
    ServedModel,
    Usage,
    encode_json,
    make_id,
)
from smg_mock_worker.tokens import token_ids

__all__ = ("TranscriptionExchange", "parse_multipart", "parse_transcription")

# So many bytes of a file make one prompt token.
BYTES_PER_TOKEN = 1_024
_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_FIELD_NAME = re.compile(rb'[; ]name="([^"]*)"', re.IGNORECASE)


def parse_multipart(content_type: str, body: bytes) -> Mapping[str, bytes]:
    """The parts of a `multipart/form-data` body by field name; the first of each name counts.

    Raises `RequestRefused` (400) if it is none.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().startswith("multipart/form-data"):
        raise RequestRefused(400, "The body must be multipart/form-data.")
    parts: dict[str, bytes] = {}
    delimiter = b"\r\n--" + boundary[1].encode()
    for section in (b"\r\n" + body).split(delimiter)[1:]:
        head, separator, content = section.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head)
        if separator and name is not None:
            parts.setdefault(name[1].decode("utf-8", "replace"), content)
    return parts


def parse_transcription(call: Call, served: ServedModel) -> "TranscriptionExchange":
    """Read a request; raises `RequestRefused`."""
    parts = parse_multipart(call.headers.get("Content-Type", ""), call.body)
    audio = parts.get("file")
    if not audio:
        raise RequestRefused(400, "The part 'file' is missing or empty.", param="file")
    model = served.resolve(parts.get("model", b"").decode("utf-8", "replace"))
    prompt = [
        zlib.crc32(audio[start : start + BYTES_PER_TOKEN])
        for start in range(0, len(audio), BYTES_PER_TOKEN)
    ]
    if len(prompt) + served.answer_tokens > served.max_model_len:
        raise RequestRefused(400, "The file is too long for the model.", param="file")
    tokens = compose_text(zlib.crc32(audio), served.answer_tokens, rounded=True)
    answer = Answer(tokens=tokens, ids=token_ids(tokens), finish_reason="stop")
    stream = parts.get("stream", b"").strip().lower() in {b"true", b"1"}
    return TranscriptionExchange(Choice(prompt, answer), model, call.created, stream=stream)


class TranscriptionExchange(Exchange):
    """A transcription under way."""

    def __init__(self, choice: Choice, model: str, created: int, *, stream: bool) -> None:
        self.choices: Sequence[Choice] = (choice,)
        self.stream = stream
        self._answer = choice.answer
        self._head = (
            b'data: {"id":%b,"object":"transcription.chunk","created":%d,"model":%b,"choices":['
            % (encode_json(make_id("trsc-")), created, encode_json(model))
        )

    def token(self, choice: int, index: int) -> bytes:
        """One word."""
        token = self._answer.tokens[index]
        piece = encode_json(token if index else token.removeprefix(" "))
        return self._head + b'{"delta":{"content":%b},"finish_reason":null}]}\n\n' % piece

    def close_choice(self, choice: int) -> bytes:
        """The finish reason."""
        return self._head + b'{"delta":{},"finish_reason":"stop"}]}\n\n'

    def end(self, usage: Usage) -> bytes:
        """The end mark."""
        return DONE_FRAME

    def whole(self, usage: Usage) -> bytes:
        """The text."""
        return encode_json({"text": self._answer.text})
