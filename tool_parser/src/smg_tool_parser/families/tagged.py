"""Families with tagged parameters that stream: qwen_xml, the DSML of deepseek, hy_v4.

A call opens with its name. String values are passed on as they come, other values when their end
tag has come, since only then their JSON is known.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from ..argument_types import quote, qwen_json, text_json, union_json
from ..argument_writer import ArgumentWriter
from ..json_stream import read_value
from ..scanning import Markers, blanks, expect, peek, until
from ..tape import WHITESPACE, Grammar, Tape
from ..tools import all_types

__all__ = ("DEEPSEEK32", "DEEPSEEK_V4", "DEEPSEEK_V41", "Dsml", "hy_v4", "qwen_xml")


def _capture(tape: Tape, ends: Markers) -> Generator[None, None, tuple[str, str]]:
    """Reads up to one of the markers; returns it ("" at the end) and what was read."""
    pieces: list[str] = []

    def keep(count: int) -> None:
        pieces.append(tape.buf[tape.pos : tape.pos + count])
        tape.read(count)

    word = yield from until(tape, ends, keep, whole=False)
    if not word:
        # What could have been an end tag belongs to no value.
        tape.read(tape.unread_chars)
    return word, "".join(pieces)


def _stream(
    tape: Tape, ends: Markers, pass_on: Callable[[str], None]
) -> Generator[None, None, str]:
    """Reads like `_capture`, and passes on what is read as it comes."""

    def relay(count: int) -> None:
        if count:
            pass_on(tape.buf[tape.pos : tape.pos + count])
            tape.read(count)

    word = yield from until(tape, ends, relay, whole=False)
    if not word:
        tape.read(tape.unread_chars)
    return word


# qwen_xml

_QWEN_OPEN = Markers("<tool_call>")
_QWEN_FUNCTION = Markers("<function=", "</tool_call>")
_QWEN_TAG_END = Markers(">", "</tool_call>")
_QWEN_PARTS = Markers("<parameter=", "</tool_call>")
_QWEN_VALUE_END = Markers("</parameter>", "</tool_call>")


def qwen_xml(tape: Tape) -> Grammar:
    """Blocks with one function each."""
    while opened := (yield from until(tape, _QWEN_OPEN, tape.text)):
        tape.hold()
        tape.read(len(opened))
        word = yield from until(tape, _QWEN_FUNCTION, tape.read)
        while word == "<function=":
            tape.read(len(word))
            word, name = yield from _capture(tape, _QWEN_TAG_END)
            name = name.strip(WHITESPACE)
            if word == ">" and name:
                tape.read(1)
                tape.open_call(name)
                yield from _qwen_parameters(tape, name)
                break
            if word == ">":
                word = yield from until(tape, _QWEN_FUNCTION, tape.read)
        else:
            tape.read(len(word))
            tape.held_is_junk()


def _qwen_parameters(tape: Tape, name: str) -> Grammar:
    writer = ArgumentWriter(tape)
    while word := (yield from until(tape, _QWEN_PARTS, tape.read)):
        tape.read(len(word))
        if word == "<parameter=":
            word, key = yield from _capture(tape, _QWEN_TAG_END)
            if word == ">":
                tape.read(1)
                word = yield from _qwen_value(tape, writer, name, key.strip(WHITESPACE))
            if word:
                tape.read(len(word))
        if not word or word == "</tool_call>":
            break
    writer.close(complete=bool(word))


def _qwen_value(
    tape: Tape, writer: ArgumentWriter, name: str, key: str
) -> Generator[None, None, str]:
    """Reads a value; returns the tag behind it, still unread."""
    if tape.tools.declared_type(name, key) == "string":
        char = yield from blanks(tape, tape.read)
        # A quoted text may lose its quotes, which shows at its end only.
        if char and char != '"':
            writer.open_string(key)
            trimmed = _TrimmedEnd(writer.string_piece)
            word = yield from _stream(tape, _QWEN_VALUE_END, trimmed)
            writer.close_string()
            return word
    word, value = yield from _capture(tape, _QWEN_VALUE_END)
    if word == "</parameter>":
        writer.member(key, qwen_json(value, tape.tools.declared_type(name, key)))
    return word


class _TrimmedEnd:
    """Passes text on without the white space at its end."""

    __slots__ = ("_blank", "_pass_on", "_started")

    def __init__(self, pass_on: Callable[[str], None]) -> None:
        self._pass_on = pass_on
        self._blank: list[str] = []
        self._started = False

    def __call__(self, text: str) -> None:
        if self._started and not self._blank and text and text[-1] not in WHITESPACE:
            self._pass_on(text)
            return
        if not self._started:
            text = text.lstrip(WHITESPACE)
        shown = text.rstrip(WHITESPACE)
        if shown:
            self._started = True
            if self._blank:
                before = "".join(self._blank)
                self._blank.clear()
                self._pass_on(before + shown)
            else:
                self._pass_on(shown)
        if len(text) > len(shown):
            self._blank.append(text[len(shown) :])


# deepseek32, deepseek_v4, deepseek_v41

_END_OF_SENTENCE = "<｜end▁of▁sentence｜>"


class _TextBefore:
    """Takes text, of which white space at its end stays in a hold."""

    __slots__ = ("_tape",)

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __call__(self, count: int) -> None:
        tape = self._tape
        shown = len(tape.buf[tape.pos : tape.pos + count].rstrip(WHITESPACE))
        if shown:
            if tape.holding:
                tape.held_is_text()
            tape.text(shown)
        if count > shown:
            tape.hold()
            tape.read(count - shown)


class Dsml:
    """One dialect: the name of its outer block, what its tags begin with, how strict it is.

    `loose`: the outer block is optional; of the text before, two newlines at its end go (else all
    white space there goes).
    """

    __slots__ = (
        "_block",
        "_block_end",
        "_inside",
        "_invoke",
        "_invoke_end",
        "_loose",
        "_outside",
        "_parameter",
        "_parts",
        "_value_end",
        "_values",
    )

    def __init__(self, block: str, space: str = "", *, loose: bool = False) -> None:
        opening, closing = f"<｜DSML｜{space}", f"</｜DSML｜{space}"
        self._loose = loose
        self._block = f"{opening}{block}>"
        self._block_end = f"{closing}{block}>"
        self._invoke = f"{opening}invoke"
        self._invoke_end = f"{closing}invoke>"
        self._parameter = f"{opening}parameter"
        self._value_end = f"{closing}parameter>"
        openers = (self._block, self._invoke) if loose else (self._block,)
        spaced = tuple("\n\n" + opener for opener in openers) if loose else ()
        self._outside = Markers(*openers, *spaced)
        self._inside = Markers(self._invoke, self._block_end)
        self._parts = Markers(self._parameter, self._invoke_end, self._block_end)
        self._values = Markers(self._value_end, self._invoke_end, self._block_end, _END_OF_SENTENCE)

    def __call__(self, tape: Tape) -> Grammar:
        before = tape.text if self._loose else _TextBefore(tape)
        while opener := (yield from until(tape, self._outside, before)):
            if tape.holding:
                tape.held_is_dropped()
            if opener.endswith(self._block):
                blank = len(opener) - len(self._block)
                tape.drop(blank)
                tape.read(len(self._block))
                yield from self._read_block(tape)
            else:
                tape.hold()
                tape.read(len(opener))
                yield from self._read_invoke(tape)
                if tape.holding:
                    tape.held_is_text()

    def _read_block(self, tape: Tape) -> Grammar:
        while word := (yield from until(tape, self._inside, tape.drop)):
            tape.hold()
            tape.read(len(word))
            if word == self._block_end:
                tape.held_is_markup()
                return
            yield from self._read_invoke(tape)
            if tape.holding:
                tape.held_is_dropped()

    def _read_invoke(self, tape: Tape) -> Grammar:
        """Reads an invoke behind the beginning of its tag; the hold stays open if it is none."""
        attributes = yield from _read_tag(tape, ("name",))
        if attributes is None or not attributes[0]:
            return
        tape.open_call(attributes[0])
        char = yield from blanks(tape, tape.read)
        if char == "{":
            scanner = yield from read_value(tape, tape.arguments)
            if not scanner.done:
                tape.arguments(scanner.ending())
            yield from blanks(tape, tape.read)
            closed = scanner.done and (yield from expect(tape, self._invoke_end))
            if closed:
                tape.read(len(self._invoke_end))
            tape.close_call(closed)
        else:
            yield from self._read_parameters(tape)

    def _read_parameters(self, tape: Tape) -> Grammar:
        writer = ArgumentWriter(tape)
        while True:
            word: str | None = yield from until(tape, self._parts, tape.read)
            if word == self._parameter:
                tape.read(len(self._parameter))
                word = yield from self._read_parameter(tape, writer)
            if word == self._invoke_end:
                tape.read(len(self._invoke_end))
            if word in {"", self._invoke_end, self._block_end}:
                writer.close(complete=word == self._invoke_end)
                return

    def _read_parameter(
        self, tape: Tape, writer: ArgumentWriter
    ) -> Generator[None, None, str | None]:
        """Reads a parameter; returns the tag that ended it, None for its own or if it is none."""
        attributes = yield from _read_tag(tape, ("name", "string"))
        if attributes is None or attributes[1] not in {"true", "false"}:
            return None
        key, is_string = attributes[0], attributes[1] == "true"
        pieces: list[str] = []
        if is_string:
            writer.open_string(key)
        word = _END_OF_SENTENCE
        while word == _END_OF_SENTENCE:
            pass_on = writer.string_piece if is_string else pieces.append
            word = yield from _stream(tape, self._values, pass_on)
            if word in {_END_OF_SENTENCE, self._value_end}:
                tape.read(len(word))
        if is_string:
            writer.close_string()
        elif word == self._value_end:
            value = "".join(pieces)
            writer.member(key, text_json(value) or quote(value))
        return None if word == self._value_end else word


def _read_tag(tape: Tape, names: tuple[str, ...]) -> Generator[None, None, list[str] | None]:
    """Reads ` name="value"` for each name and `>`; None if that is not what comes."""
    values: list[str] = []
    for name in names:
        start = yield from peek(tape)
        if not start or start not in " \t\r\n":
            return None
        yield from blanks(tape, tape.read)
        if not (yield from expect(tape, name + '="')):
            return None
        tape.read(len(name) + 2)
        word, value = yield from _capture(tape, _DOUBLE_QUOTE)
        if not word:
            return None
        tape.read(1)
        values.append(value)
    if (yield from blanks(tape, tape.read)) != ">":
        return None
    tape.read(1)
    return values


_DOUBLE_QUOTE = Markers('"')

DEEPSEEK32 = Dsml("function_calls")
DEEPSEEK_V4 = Dsml("tool_calls")
DEEPSEEK_V41 = Dsml("calls", " ", loose=True)

# hy_v4

_HY_OPEN = Markers("<tool_calls")
_HY_NAME_END = Markers("<")


class _HyTags:
    """The tags of one block: all carry the suffix of its opening tag."""

    __slots__ = ("block_end", "call", "call_end", "key", "key_end", "value", "value_end")

    def __init__(self, suffix: str) -> None:
        self.block_end = Markers(f"</tool_calls{suffix}>")
        self.call = f"<tool_call{suffix}>"
        self.call_end = f"</tool_call{suffix}>"
        self.key = f"<arg_key{suffix}>"
        self.key_end = Markers(f"</arg_key{suffix}>")
        self.value = f"<arg_value{suffix}>"
        self.value_end = Markers(f"</arg_value{suffix}>")


def hy_v4(tape: Tape) -> Grammar:
    """Blocks of calls; from where one is malformed to its end it is text."""
    while opened := (yield from until(tape, _HY_OPEN, tape.text)):
        tape.hold()
        tape.read(len(opened))
        suffix = yield from _hy_suffix(tape)
        if suffix is None:
            tape.held_is_text()
            continue
        tags = _HyTags(suffix)
        if (yield from _hy_block(tape, tags)):
            tape.held_is_markup()
        else:
            tape.held_is_text()
            end = yield from until(tape, tags.block_end, tape.text)
            tape.text(len(end))


def _hy_suffix(tape: Tape) -> Generator[None, None, str | None]:
    """Reads the rest of a tag: nothing or a suffix behind a colon, and `>`."""
    pieces: list[str] = []
    while True:
        char = yield from peek(tape)
        if char == ">":
            tape.read(1)
            return "".join(pieces)
        if not char or char in "< \t\r\n" or (char != ":" and not pieces):
            return None
        pieces.append(char)
        tape.read(1)


def _hy_block(tape: Tape, tags: _HyTags) -> Generator[None, None, bool]:
    """Reads a block behind its opening tag; whether it came to a good end."""
    calls = tape.opened_calls
    while True:
        yield from blanks(tape, tape.read)
        if tape.opened_calls > calls and (yield from expect(tape, tags.block_end.words[0])):
            tape.read(len(tags.block_end.words[0]))
            return True
        if not (yield from expect(tape, tags.call)):
            return False
        tape.hold()
        tape.read(len(tags.call))
        word, name = yield from _capture(tape, _HY_NAME_END)
        name = name.strip(WHITESPACE)
        if not word or not name or not (yield from _hy_arguments(tape, tags, name)):
            return False


def _hy_arguments(tape: Tape, tags: _HyTags, name: str) -> Generator[None, None, bool]:
    """Reads arguments and the end of the call; whether all of it was well-formed."""
    writer = ArgumentWriter(tape)
    keys: set[str] = set()
    while True:
        yield from blanks(tape, tape.read)
        closed = yield from expect(tape, tags.call_end)
        if not tape.call_open and (closed or (yield from expect(tape, tags.key))):
            tape.open_call(name)
        if closed:
            tape.read(len(tags.call_end))
            writer.close(complete=True)
            return True
        key = yield from _hy_key(tape, tags)
        if not key or key in keys or not (yield from _hy_value(tape, tags, writer, name, key)):
            break
        keys.add(key)
    if tape.ended:
        # The beginning of a tag that was cut off.
        tape.read(tape.unread_chars)
    if tape.call_open:
        writer.close(complete=False)
    return False


def _hy_key(tape: Tape, tags: _HyTags) -> Generator[None, None, str]:
    """Reads a key and the beginning of its value; "" if they are not there."""
    if not (yield from expect(tape, tags.key)):
        return ""
    tape.read(len(tags.key))
    word, key = yield from _capture(tape, tags.key_end)
    tape.read(len(word))
    yield from blanks(tape, tape.read)
    if not word or not (yield from expect(tape, tags.value)):
        return ""
    tape.read(len(tags.value))
    return key


def _hy_value(
    tape: Tape, tags: _HyTags, writer: ArgumentWriter, name: str, key: str
) -> Generator[None, None, bool]:
    schema = tape.tools.property_schema(name, key)
    if all_types(schema) <= {"string"}:
        writer.open_string(key)
        word = yield from _stream(tape, tags.value_end, writer.string_piece)
        writer.close_string()
    else:
        word, value = yield from _capture(tape, tags.value_end)
        if word:
            writer.member(key, union_json(value, schema))
    tape.read(len(word))
    return bool(word)
