"""The input of the Responses API: text, or items of which some kinds are looked into."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec

from smg_protocols.declarations import shape_of
from smg_protocols.faults import Broken, Mismatch, Trail
from smg_protocols.response_items import (
    InputFile,
    InputImage,
    InputText,
    ItemReference,
    MessageItem,
    OutputText,
    Phase,
    ReasoningContent,
    ReasoningItem,
    ReasoningText,
    Refusal,
    SimpleMessage,
    SummaryText,
    TaggedItem,
)
from smg_protocols.wire import Named, ReadBy

__all__ = ("InputItem", "ResponseInput", "broken_input", "input_text", "untold_items")


class InputItem(msgspec.Struct, frozen=True):
    """Any input item; the kinds that conversations are made of decode to it directly."""

    type: str | None = None
    role: str | None = None
    content: (
        str | list[OutputText | InputText | InputImage | InputFile | Refusal | ReasoningText] | None
    ) = None
    phase: Phase | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[InputText | InputImage | InputFile] | None = None
    summary: list[SummaryText] | None = None
    encrypted_content: str | None = None
    status: str | None = None

    @property
    def undecided(self) -> bool:
        """Whether only the diagnosis can tell if the item is acceptable."""
        match self.type:
            case None | "message":
                if self.type is None and self.id is not None:
                    return self.content is not None and self._reasons
                return self.role is None or self.content is None or self._reasons
            case "function_call_output":
                return self.call_id is None or self.output is None
            case "function_call":
                named = self.name is not None and self.arguments is not None
                return self.call_id is None or not named or isinstance(self.output, list)
            case "reasoning":
                return self.id is None or not self._only_reasons
            case "item_reference":
                return self.id is None
            case _:
                return True

    @property
    def _reasons(self) -> bool:
        content = self.content
        return isinstance(content, list) and any(
            isinstance(each, ReasoningText) for each in content
        )

    @property
    def _only_reasons(self) -> bool:
        content = self.content
        return content is None or (
            isinstance(content, list) and all(isinstance(each, ReasoningText) for each in content)
        )


_KINDS: Final = (TaggedItem, SimpleMessage, ItemReference)
_KEPT: Final = InputItem.__struct_fields__


def _read_item(value: object, trail: Trail) -> object:
    frozen = trail.freeze()
    for kind in _KINDS:
        try:
            item: Any = shape_of(kind).read(value, frozen)
        except Mismatch:
            continue
        kept: dict[str, Any] = {name: getattr(item, name, None) for name in _KEPT}
        config = item.__struct_config__
        if config.tag is not None:
            kept["type"] = config.tag
        if not isinstance(item, (MessageItem, SimpleMessage, ReasoningItem)):
            kept["content"] = None
        return InputItem(**kept)
    cause = "data did not match any variant of untagged enum ResponseInputOutputItem"
    raise Mismatch("invalid_type", cause, trail)


ResponseInput = Annotated[
    list[Annotated[InputItem, ReadBy(_read_item)]] | str, Named("ResponseInput")
]


def untold_items(value: str | list[InputItem]) -> bool:
    """Whether an input holds items that only the diagnosis can judge."""
    return isinstance(value, list) and any(item.undecided for item in value)


def broken_input(field: str, value: str | list[InputItem]) -> Broken | None:
    """Return the first rule that an input breaks."""
    if not value:
        if isinstance(value, str):
            return Broken("input_text_empty", "Input text cannot be empty", field)
        return Broken("input_items_empty", "Input items cannot be empty", field)
    if isinstance(value, str):
        return None
    for item in value:
        if item.content in ("", []) and item.type in (None, "message"):
            noun = "content" if item.content == "" or item.id is not None else "content parts"
            return Broken("message_content_empty", f"Message {noun} cannot be empty", field)
        if item.type == "custom_tool_call_output" and item.output in ("", []):
            noun = "output" if item.output == "" else "output parts"
            text = f"Custom tool call {noun} cannot be empty"
            return Broken("custom_tool_call_output_empty", text, field)
    return None


def input_text(value: str | list[InputItem]) -> str:
    """Return the text of an input: text parts, simple messages and reasoning, space-joined."""
    return value if isinstance(value, str) else " ".join(_pieces(value))


def _pieces(items: list[InputItem]) -> Iterator[str]:
    for item in items:
        if isinstance(item.content, str):
            yield item.content
        elif item.content is not None:
            for part in item.content:
                if isinstance(part, (InputText, OutputText, ReasoningText, ReasoningContent)):
                    yield part.text
