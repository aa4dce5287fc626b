"""The tape that a grammar reads: input at one end, events at the other, every character accounted for.

A grammar is a generator over a tape. It looks at `buf` from `pos` on, consumes characters by saying
what they are (text, markup, junk), and yields when it needs more input. What it cannot judge yet it
holds; a hold ends as text, as markup or as junk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from .events import (
    ArgumentsDelta,
    CallClosed,
    CallOpened,
    Event,
    MarkupDelta,
    TextDelta,
)
from .tools import ToolSchemas

__all__ = ("WHITESPACE", "CallIds", "Grammar", "Style", "Tape")

# What Unicode calls white space. `str.strip()` would also remove U+001C to U+001F.
WHITESPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

# Junk of a block that may yet be followed by a readable call is kept back, but not without limit.
MAX_SUSPENDED_CHARS = 8192

CallIds = Callable[[int, str], str]
Grammar = Generator[None, None, None]


class Style:
    """What a family does with text, apart from its grammar.

    `text_after_calls`: false where text behind a complete call is dropped.
    `broken_is_text`: false where a block without any readable call vanishes.
    `broken_beside_calls`: false where what was written of an incomplete call vanishes from an
    answer that has complete calls. Defaults to `text_after_calls`.
    `trimmed`: the visible text as a whole loses its outer white space.
    """

    __slots__ = ("broken_beside_calls", "broken_is_text", "text_after_calls", "trimmed")

    def __init__(
        self,
        *,
        text_after_calls: bool = True,
        broken_is_text: bool = True,
        broken_beside_calls: bool | None = None,
        trimmed: bool = False,
    ) -> None:
        self.broken_beside_calls = (
            text_after_calls if broken_beside_calls is None else broken_beside_calls
        )
        self.text_after_calls = text_after_calls
        self.broken_is_text = broken_is_text
        self.trimmed = trimmed


class Tape:
    """Input and output of one grammar. See the module's docstring."""

    __slots__ = (
        "_arguments",
        "_blank",
        "_events",
        "_held",
        "_held_chars",
        "_holding",
        "_ids",
        "_index",
        "_lossless",
        "_markup",
        "_plain",
        "_style",
        "_suspended",
        "_suspended_chars",
        "_text",
        "_trimming",
        "buf",
        "call_open",
        "closed_calls",
        "ended",
        "had_arguments",
        "opened_calls",
        "pos",
        "tools",
    )

    def __init__(
        self, tools: ToolSchemas, style: Style, ids: CallIds, *, lossless: bool, markup: bool
    ) -> None:
        self.buf = ""
        self.pos = 0
        self.ended = False
        self.tools = tools
        self.call_open = False
        self.had_arguments = False
        self.opened_calls = 0
        self.closed_calls = 0
        self._style = style
        self._ids = ids
        self._lossless = lossless
        self._markup = markup or lossless
        self._events: list[Event] = []
        self._text: list[str] = []
        self._arguments: list[str] = []
        self._index = -1
        self._holding = False
        self._held: list[str] = []
        self._held_chars = 0
        self._suspended: list[str] = []
        self._suspended_chars = 0
        # Trimming: white space that waits for text behind it; None before the first text.
        self._trimming = style.trimmed and not lossless
        # Whether text is shown as it is: neither trimmed nor, behind a call, dropped.
        self._plain = not self._trimming
        self._blank: list[str] | None = None

    # Input

    def push(self, delta: str) -> None:
        """Appends input. Costs what is left unread, which grammars keep within a marker's length."""
        self.buf = self.buf[self.pos :] + delta if self.pos < len(self.buf) else delta
        self.pos = 0

    @property
    def unread_chars(self) -> int:
        return len(self.buf) - self.pos

    @property
    def waiting_chars(self) -> int:
        """Characters taken in and not reported yet."""
        blank = sum(map(len, self._blank)) if self._blank else 0
        suspended = self._suspended_chars if self._suspended else 0
        return self.unread_chars + self._held_chars + suspended + blank

    # Consumption: each of these takes `count` characters from `pos` on.

    def text(self, count: int) -> None:
        """Visible text."""
        if count:
            end = self.pos + count
            piece = self.buf[self.pos : end]
            self.pos = end
            if self._plain and not self._suspended_chars:
                if self._arguments:
                    self._flush()
                self._text.append(piece)
            elif self._suspended and not piece.strip(WHITESPACE):
                self._suspend(piece)
            else:
                self._release_suspended()
                self._say(piece)

    def read(self, count: int) -> None:
        """Markup, provisionally while a hold is open."""
        if self._holding:
            if count:
                self._held.append(self._take(count))
                self._held_chars += count
        elif self._markup:
            self._mark(self._take(count))
        else:
            self.pos += count

    def junk(self, count: int) -> None:
        """What a block contains beside readable calls: lost if one follows, else text."""
        if count:
            self._suspend(self._take(count))

    def drop(self, count: int) -> None:
        """Text that the family does not show."""
        if count:
            self._drop(self._take(count))

    # Holds

    def hold(self) -> None:
        """From here on `read` is provisional. An open hold just goes on."""
        self._holding = True

    @property
    def holding(self) -> bool:
        return self._holding

    def held(self) -> str:
        """What the hold contains."""
        if len(self._held) > 1:
            self._held[:] = ["".join(self._held)]
        return self._held[0] if self._held else ""

    def held_is_text(self) -> None:
        piece = self._end_hold()
        self._release_suspended()
        self._say(piece)

    def held_is_markup(self) -> None:
        self._mark(self._end_hold())

    def held_is_junk(self) -> None:
        self._suspend(self._end_hold())

    def held_is_dropped(self) -> None:
        self._drop(self._end_hold())

    # Calls

    def open_call(self, name: str) -> None:
        self._suspended.clear()
        self._suspended_chars = 0
        self._flush()
        self._index += 1
        self.call_open = True
        self.had_arguments = False
        self.opened_calls += 1
        self._events.append(CallOpened(self._index, self._ids(self._index, name), name))
        if self._holding:
            self.held_is_markup()

    def arguments(self, json: str) -> None:
        if json:
            if self._text:
                self._flush_text()
            self._arguments.append(json)
            self.had_arguments = True

    def close_call(self, complete: bool) -> None:
        if not self.had_arguments:
            self.arguments("{}")
        self._flush()
        self._events.append(CallClosed(self._index, complete))
        self.call_open = False
        if complete:
            self.closed_calls += 1
            self._plain = self._plain and (self._lossless or self._style.text_after_calls)

    def whole_call(self, name: str, arguments: str) -> None:
        """A call that was read in one piece."""
        self.open_call(name)
        self.arguments(arguments)
        self.close_call(True)

    # Output

    def drain(self) -> list[Event]:
        """The events since the last time."""
        events = self._events
        if self._text:
            events.append(TextDelta("".join(self._text)))
            self._text.clear()
        if self._arguments:
            events.append(ArgumentsDelta(self._index, "".join(self._arguments)))
            self._arguments.clear()
        self._events = []
        return events

    def end(self) -> None:
        """Called after the grammar has returned at the end of the input."""
        if self._holding:
            self.held_is_text()
        self._release_suspended()
        # White space at the very end, where it is trimmed.
        self._blank = None

    # Inside

    def _take(self, count: int) -> str:
        end = self.pos + count
        piece = self.buf[self.pos : end]
        self.pos = end
        return piece

    def _end_hold(self) -> str:
        held = self._held
        self._holding = False
        self._held = []
        self._held_chars = 0
        return held[0] if len(held) == 1 else "".join(held)

    def _mark(self, piece: str) -> None:
        if self._markup and piece:
            self._flush()
            index = self._index if self.call_open else None
            self._events.append(MarkupDelta(piece, index))

    def _drop(self, piece: str) -> None:
        if self._lossless:
            self._say(piece)
        elif self._markup and piece:
            self._flush()
            self._events.append(MarkupDelta(piece, None))

    def _suspend(self, piece: str) -> None:
        if self._lossless or self._closed_to_text():
            self._drop(piece)
            return
        self._suspended.append(piece)
        self._suspended_chars += len(piece)
        if self._suspended_chars > MAX_SUSPENDED_CHARS:
            # The count stays: what follows of this junk is text at once, however it is cut.
            self._show_suspended()

    def _release_suspended(self) -> None:
        self._show_suspended()
        self._suspended_chars = 0

    def _show_suspended(self) -> None:
        if self._suspended:
            piece = "".join(self._suspended)
            self._suspended.clear()
            if self._style.broken_is_text:
                self._say(piece)
            else:
                self._drop(piece)

    def _closed_to_text(self) -> bool:
        return bool(self.closed_calls) and not self._style.text_after_calls

    def _say(self, piece: str) -> None:
        if not piece:
            return
        if not self._lossless and self._closed_to_text():
            self._drop(piece)
            return
        if self._trimming:
            piece = self._trim(piece)
            if not piece:
                return
        if self._arguments:
            self._flush()
        self._text.append(piece)

    def _trim(self, piece: str) -> str:
        if self._blank is None:
            piece = piece.lstrip(WHITESPACE)
            if not piece:
                return ""
            self._blank = []
        shown = piece.rstrip(WHITESPACE)
        blank = self._blank
        tail = piece[len(shown) :]
        if shown and blank:
            shown = "".join(blank) + shown
            blank.clear()
        if tail:
            blank.append(tail)
        return shown

    def _flush_text(self) -> None:
        if self._text:
            self._events.append(TextDelta("".join(self._text)))
            self._text.clear()

    def _flush(self) -> None:
        self._flush_text()
        if self._arguments:
            self._events.append(ArgumentsDelta(self._index, "".join(self._arguments)))
            self._arguments.clear()
