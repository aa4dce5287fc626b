"""Realtime sessions and client secrets: what validation reads of a request."""

from typing import Annotated, Literal

import msgspec

from smg_protocols.chat_tools import ToolReference
from smg_protocols.faults import Broken
from smg_protocols.responses import ResponsePrompt
from smg_protocols.wire import F32, F64, U32, Named, OneOf, StringMap

__all__ = (
    "ClientSecretRequest",
    "SessionRequest",
    "TranscriptionSessionRequest",
    "broken_secret",
    "broken_session",
)

_Modality = Literal["text", "audio"]
_Include = Literal["item.input_audio_transcription.logprobs"]
_Connector = Literal[
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
]


class Pcm(msgspec.Struct, frozen=True, tag="audio/pcm"):
    rate: U32 | None = None


class Pcmu(msgspec.Struct, frozen=True, tag="audio/pcmu"):
    pass


class Pcma(msgspec.Struct, frozen=True, tag="audio/pcma"):
    pass


_Format = Annotated[Pcm | Pcmu | Pcma, Named("RealtimeAudioFormats")]


class AudioTranscription(msgspec.Struct, frozen=True):
    language: str | None = None
    model: str | None = None
    prompt: str | None = None


class NoiseReduction(msgspec.Struct, frozen=True):
    type: Literal["near_field", "far_field"]


class ServerVad(msgspec.Struct, frozen=True, tag="server_vad"):
    create_response: bool | None = None
    idle_timeout_ms: U32 | None = None
    interrupt_response: bool | None = None
    prefix_padding_ms: U32 | None = None
    silence_duration_ms: U32 | None = None
    threshold: F64 | None = None


class SemanticVad(msgspec.Struct, frozen=True, tag="semantic_vad"):
    create_response: bool | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    interrupt_response: bool | None = None


class AudioInput(msgspec.Struct, frozen=True):
    format: _Format | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: AudioTranscription | None = None
    turn_detection: Annotated[ServerVad | SemanticVad | None, Named("TurnDetection")] = None


class CustomVoice(msgspec.Struct, frozen=True):
    id: str


class AudioOutput(msgspec.Struct, frozen=True):
    format: _Format | None = None
    speed: F32 | None = None
    voice: Annotated[str | CustomVoice | None, Named("Voice")] = None


class AudioConfig(msgspec.Struct, frozen=True):
    input: AudioInput | None = None
    output: AudioOutput | None = None


class TranscriptionAudio(msgspec.Struct, frozen=True):
    input: AudioInput | None = None


class FunctionTool(msgspec.Struct, frozen=True, tag="function"):
    description: str | None = None
    name: str | None = None
    parameters: msgspec.Raw | None = None


class ToolFilter(msgspec.Struct, frozen=True):
    read_only: bool | None = None
    tool_names: list[str] | None = None


class ApprovalFilter(msgspec.Struct, frozen=True):
    always: ToolFilter | None = None
    never: ToolFilter | None = None


class McpTool(msgspec.Struct, frozen=True, tag="mcp"):
    server_label: str
    allowed_tools: Annotated[list[str] | ToolFilter | None, Named("McpAllowedTools")] = None
    authorization: str | None = None
    connector_id: _Connector | None = None
    headers: StringMap | None = None
    require_approval: Annotated[
        Literal["always", "never"] | ApprovalFilter | None, Named("McpToolApproval")
    ] = None
    server_description: str | None = None
    server_url: str | None = None


_Tool = Annotated[FunctionTool | McpTool, Named("RealtimeToolsConfig")]


class TracingConfig(msgspec.Struct, frozen=True):
    group_id: str | None = None
    metadata: msgspec.Raw | None = None
    workflow_name: str | None = None


class TokenLimits(msgspec.Struct, frozen=True):
    post_instructions: U32 | None = None


class RetentionRatio(msgspec.Struct, frozen=True):
    retention_ratio: F64
    type: Literal["retention_ratio"]
    token_limits: TokenLimits | None = None


_Option = Literal["none", "auto", "required"]


class SessionRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/realtime/sessions."""

    type: Literal["realtime"]
    audio: AudioConfig | None = None
    include: list[_Include] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[U32 | Literal["inf"] | None, Named("MaxOutputTokens")] = None
    model: str | None = None
    output_modalities: list[_Modality] | None = None
    prompt: ResponsePrompt | None = None
    tool_choice: Annotated[
        _Option | ToolReference | None, OneOf("RealtimeToolChoiceConfig", (_Option, ToolReference))
    ] = None
    tools: Annotated[
        list[_Tool] | _Tool | None, OneOf("RealtimeToolsConfig", (list[_Tool], _Tool))
    ] = None
    tracing: Annotated[Literal["auto"] | TracingConfig | None, Named("RealtimeTracingConfig")] = (
        None
    )
    truncation: Annotated[
        Literal["auto", "disabled"] | RetentionRatio | None, Named("RealtimeTruncation")
    ] = None


class TranscriptionSessionRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/realtime/transcription_sessions."""

    type: Literal["transcription"]
    audio: TranscriptionAudio | None = None
    include: list[_Include] | None = None
    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class ClientSecretRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/realtime/client_secrets."""

    session: SessionRequest

    @property
    def model(self) -> str | None:
        """The model of the session."""
        return self.session.model


def broken_session(request: SessionRequest | TranscriptionSessionRequest) -> Broken | None:
    """Check that the session names a model."""
    return _without_model("model", request.model)


def broken_secret(request: ClientSecretRequest) -> Broken | None:
    """Check that the secret's session names a model."""
    return _without_model("session.model", request.session.model)


def _without_model(name: str, model: str | None) -> Broken | None:
    if model is not None and model.strip():
        return None
    return Broken("invalid_value", f"Validation error: {name} is required")
