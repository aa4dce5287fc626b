"""inkling: typed frames between control tokens."""

from __future__ import annotations

from ..json_calls import CALL, CallShape, read_call
from ..scanning import Markers, blanks, expect, until
from ..tape import Grammar, Tape

__all__ = ("inkling",)

_MODEL = "<|message_model|>"
_JSON_CALL = "<|content_invoke_tool_json|>"
_TEXT_CALL = "<|content_invoke_tool_text|>"
_END = "<|end_message|>"
_TOKENS = Markers(
    _MODEL,
    "<|content_text|>",
    "<|content_thinking|>",
    _JSON_CALL,
    _TEXT_CALL,
    _END,
    "<|content_model_end_sampling|>",
)
_ENDS = Markers(_END, "<|content_model_end_sampling|>")


def inkling(tape: Tape) -> Grammar:
    """Text is what is in no header and in no call; calls must be declared."""
    shape = CallShape(
        ("name",),
        ("args",),
        object_arguments=True,
        needs_arguments=True,
        accepts=tape.tools.declares,
    )
    while word := (yield from until(tape, _TOKENS, tape.text)):
        tape.read(len(word))
        if word == _MODEL:
            # The header names the frame's recipient and is not shown.
            yield from until(tape, _TOKENS, tape.read)
        elif word == _JSON_CALL:
            yield from _read_frame(tape, shape)
        elif word == _TEXT_CALL:
            yield from until(tape, _ENDS, tape.drop)


def _read_frame(tape: Tape, shape: CallShape) -> Grammar:
    tape.hold()
    char = yield from blanks(tape, tape.read)
    outcome = (yield from read_call(tape, shape)) if char == "{" else None
    if outcome is CALL:
        tape.close_call(True)
        tape.hold()
        yield from blanks(tape, tape.read)
        if (yield from expect(tape, _END)):
            tape.held_is_markup()
        else:
            tape.held_is_text()
        return
    tape.held_is_dropped()
    yield from until(tape, _ENDS, tape.drop)
