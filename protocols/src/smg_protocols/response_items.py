"""Input items of the Responses API: what the model is to read, turn by turn."""

from typing import Annotated, Literal

import msgspec

from smg_protocols.response_tools import ContainerReference, LocalShell
from smg_protocols.wire import I32, U32, U64, Named, StringMap

__all__ = (
    "InputFile",
    "InputImage",
    "InputText",
    "ItemReference",
    "MessageItem",
    "OutputText",
    "Phase",
    "ReasoningContent",
    "ReasoningItem",
    "ReasoningText",
    "Refusal",
    "SimpleMessage",
    "SummaryText",
    "TaggedItem",
)

Phase = Literal["commentary", "final_answer"]
_Progress = Literal["in_progress", "completed", "incomplete"]
_FileDetail = Literal["low", "high"]
_Detail = Literal["low", "high", "auto", "original"]


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class FileCitation(msgspec.Struct, frozen=True, tag="file_citation"):
    file_id: str
    filename: str
    index: U32


class UrlCitation(msgspec.Struct, frozen=True, tag="url_citation"):
    url: str
    title: str
    start_index: U32
    end_index: U32


class ContainerFileCitation(msgspec.Struct, frozen=True, tag="container_file_citation"):
    container_id: str
    file_id: str
    filename: str
    start_index: U32
    end_index: U32


class FilePath(msgspec.Struct, frozen=True, tag="file_path"):
    file_id: str
    index: U32


class OutputText(msgspec.Struct, frozen=True, tag="output_text"):
    text: str
    annotations: list[FileCitation | UrlCitation | ContainerFileCitation | FilePath] | None = None
    logprobs: msgspec.Raw | None = None


class InputText(msgspec.Struct, frozen=True, tag="input_text"):
    text: str


class InputImage(msgspec.Struct, frozen=True, tag="input_image"):
    detail: _Detail | None = None
    file_id: str | None = None
    image_url: str | None = None


class InputFile(msgspec.Struct, frozen=True, tag="input_file"):
    detail: _FileDetail | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    refusal: str


class ReasoningText(msgspec.Struct, frozen=True, tag="reasoning_text"):
    text: str


class ReasoningContent(msgspec.Struct, frozen=True):
    type: Literal["reasoning_text"]
    text: str


class SummaryText(msgspec.Struct, frozen=True):
    type: Literal["summary_text"]
    text: str


_Part = Annotated[
    OutputText | InputText | InputImage | InputFile | Refusal, Named("ResponseContentPart")
]
_InputPart = Annotated[InputText | InputImage | InputFile, Named("CustomToolInputContentPart")]
_Output = Annotated[str | list[_InputPart], Named("CustomToolCallOutputContent")]


class MessageItem(msgspec.Struct, frozen=True, tag="message"):
    id: str
    role: str
    content: list[_Part]
    status: str | None = None
    phase: Phase | None = None


class ReasoningItem(msgspec.Struct, frozen=True, tag="reasoning"):
    id: str
    summary: list[SummaryText] | None = None
    content: list[ReasoningContent] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class FunctionCallItem(msgspec.Struct, frozen=True, tag="function_call"):
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    output: str | None = None
    status: str | None = None


class FunctionCallOutputItem(msgspec.Struct, frozen=True, tag="function_call_output"):
    call_id: str
    output: _Output
    id: str | None = None
    status: str | None = None


class McpApprovalRequestItem(msgspec.Struct, frozen=True, tag="mcp_approval_request"):
    id: str
    server_label: str
    name: str
    arguments: str


class McpApprovalResponseItem(msgspec.Struct, frozen=True, tag="mcp_approval_response"):
    approval_request_id: str
    approve: bool
    id: str | None = None
    reason: str | None = None


class ImageGenerationCallItem(msgspec.Struct, frozen=True, tag="image_generation_call"):
    id: str
    action: str | None = None
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    result: str | None = None
    revised_prompt: str | None = None
    size: str | None = None
    status: Literal["in_progress", "completed", "generating", "failed"] | None = None


class CompactionItem(msgspec.Struct, frozen=True, tag="compaction"):
    encrypted_content: str
    id: str | None = None


class Coordinate(_Closed, frozen=True):
    x: I32
    y: I32


class ClickAction(msgspec.Struct, frozen=True, tag="click"):
    button: Literal["left", "right", "wheel", "back", "forward"]
    x: I32
    y: I32
    keys: list[str] | None = None


class DoubleClickAction(msgspec.Struct, frozen=True, tag="double_click"):
    x: I32
    y: I32
    keys: list[str] | None = None


class DragAction(msgspec.Struct, frozen=True, tag="drag"):
    path: list[Coordinate]
    keys: list[str] | None = None


class KeypressAction(msgspec.Struct, frozen=True, tag="keypress"):
    keys: list[str]


class MoveAction(msgspec.Struct, frozen=True, tag="move"):
    x: I32
    y: I32
    keys: list[str] | None = None


class ScreenshotAction(msgspec.Struct, frozen=True, tag="screenshot"):
    pass


class ScrollAction(msgspec.Struct, frozen=True, tag="scroll"):
    scroll_x: I32
    scroll_y: I32
    x: I32
    y: I32
    keys: list[str] | None = None


class TypeAction(msgspec.Struct, frozen=True, tag="type"):
    text: str


class WaitAction(msgspec.Struct, frozen=True, tag="wait"):
    pass


_ComputerAction = Annotated[
    ClickAction
    | DoubleClickAction
    | DragAction
    | KeypressAction
    | MoveAction
    | ScreenshotAction
    | ScrollAction
    | TypeAction
    | WaitAction,
    Named("ComputerAction"),
]


class SafetyCheck(_Closed, frozen=True):
    id: str
    code: str | None = None
    message: str | None = None


class ComputerCallItem(msgspec.Struct, frozen=True, tag="computer_call"):
    id: str
    call_id: str
    status: _Progress
    action: _ComputerAction | None = None
    actions: list[_ComputerAction] | None = None
    pending_safety_checks: list[SafetyCheck] | None = None


class ComputerScreenshot(msgspec.Struct, frozen=True):
    type: Literal["computer_screenshot"]
    file_id: str | None = None
    image_url: str | None = None


class ComputerCallOutputItem(msgspec.Struct, frozen=True, tag="computer_call_output"):
    call_id: str
    output: ComputerScreenshot
    id: str | None = None
    acknowledged_safety_checks: list[SafetyCheck] | None = None
    status: _Progress | None = None


class CustomToolCallItem(msgspec.Struct, frozen=True, tag="custom_tool_call"):
    call_id: str
    input: str
    name: str
    id: str | None = None
    namespace: str | None = None


class CustomToolCallOutputItem(msgspec.Struct, frozen=True, tag="custom_tool_call_output"):
    call_id: str
    output: _Output
    id: str | None = None


class ShellCallAction(_Closed, frozen=True):
    commands: list[str]
    max_output_length: U64 | None = None
    timeout_ms: U64 | None = None


class ShellCallItem(msgspec.Struct, frozen=True, tag="shell_call"):
    action: ShellCallAction
    call_id: str
    id: str | None = None
    environment: LocalShell | ContainerReference | None = None
    status: _Progress | None = None
    created_by: str | None = None


class ShellTimeout(msgspec.Struct, frozen=True, tag="timeout"):
    pass


class ShellExit(_Closed, frozen=True, tag="exit"):
    exit_code: I32


class ShellOutputChunk(_Closed, frozen=True):
    outcome: ShellTimeout | ShellExit
    stderr: str
    stdout: str
    created_by: str | None = None


class ShellCallOutputItem(msgspec.Struct, frozen=True, tag="shell_call_output"):
    call_id: str
    output: list[ShellOutputChunk]
    id: str | None = None
    max_output_length: U64 | None = None
    status: _Progress | None = None
    created_by: str | None = None


class CreateFile(_Closed, frozen=True, tag="create_file"):
    diff: str
    path: str


class DeleteFile(_Closed, frozen=True, tag="delete_file"):
    path: str


class UpdateFile(_Closed, frozen=True, tag="update_file"):
    diff: str
    path: str


class ApplyPatchCallItem(msgspec.Struct, frozen=True, tag="apply_patch_call"):
    call_id: str
    operation: CreateFile | DeleteFile | UpdateFile
    status: Literal["in_progress", "completed"]
    id: str | None = None


class ApplyPatchCallOutputItem(msgspec.Struct, frozen=True, tag="apply_patch_call_output"):
    call_id: str
    status: Literal["completed", "failed"]
    id: str | None = None
    output: str | None = None


class ExecAction(msgspec.Struct, frozen=True):
    type: Literal["exec"]
    command: list[str]
    env: StringMap
    timeout_ms: U64 | None = None
    user: str | None = None
    working_directory: str | None = None


class LocalShellCallItem(msgspec.Struct, frozen=True, tag="local_shell_call"):
    id: str
    call_id: str
    action: ExecAction
    status: _Progress


class LocalShellCallOutputItem(msgspec.Struct, frozen=True, tag="local_shell_call_output"):
    id: str
    output: str
    status: _Progress | None = None


class McpCallItem(msgspec.Struct, frozen=True, tag="mcp_call"):
    id: str
    arguments: str
    name: str
    server_label: str
    approval_request_id: str | None = None
    error: str | None = None
    output: str | None = None
    status: str | None = None


class McpToolInfo(msgspec.Struct, frozen=True):
    name: str
    input_schema: msgspec.Raw
    description: str | None = None
    annotations: msgspec.Raw | None = None


class McpListToolsItem(msgspec.Struct, frozen=True, tag="mcp_list_tools"):
    id: str
    server_label: str
    tools: list[McpToolInfo]
    error: str | None = None


class SimpleMessage(msgspec.Struct, frozen=True):
    content: Annotated[str | list[_Part], Named("StringOrContentParts")]
    role: str
    type: Literal["message"] | None = None
    phase: Phase | None = None


class ItemReference(msgspec.Struct, frozen=True):
    id: str
    type: Literal["item_reference"] | None = None


TaggedItem = Annotated[
    MessageItem
    | ReasoningItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | McpApprovalRequestItem
    | McpApprovalResponseItem
    | ImageGenerationCallItem
    | CompactionItem
    | ComputerCallItem
    | ComputerCallOutputItem
    | CustomToolCallItem
    | CustomToolCallOutputItem
    | ShellCallItem
    | ShellCallOutputItem
    | ApplyPatchCallItem
    | ApplyPatchCallOutputItem
    | LocalShellCallItem
    | LocalShellCallOutputItem
    | McpCallItem
    | McpListToolsItem,
    Named("ResponseInputOutputItem"),
]
