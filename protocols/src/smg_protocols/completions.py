"""Text completions: what routing and validation read of a request."""

from typing import Annotated, ClassVar

import msgspec

from smg_protocols.chat import SEVERAL_CONSTRAINTS, STREAM_OPTIONS_WITHOUT_STREAM, StreamOptions
from smg_protocols.faults import Broken
from smg_protocols.wire import (
    F32,
    I64,
    U32,
    U64,
    AnyObject,
    Named,
    Ruled,
    Stop,
    TopK,
    TopP,
    f32,
    u32,
)

__all__ = (
    "CompletionRequest",
    "broken_combination",
    "choices_of",
    "needs_second_look",
    "routing_text",
)


def _prompt_rule(field: str, value: str | list[str]) -> Broken | None:
    if value == []:
        return Broken("prompt_empty", "prompt array cannot be empty", field)
    return None


_Prompt = Annotated[
    str | Annotated[list[str], msgspec.Meta(min_length=1)],
    Named("StringOrArray"),
    Ruled(_prompt_rule),
]


class CompletionRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/completions; members not named here pass unread."""

    keeps_unknown: ClassVar[bool] = True
    model: str
    prompt: _Prompt
    best_of: Annotated[int, u32(0, 20)] | None = None
    echo: bool = False
    frequency_penalty: Annotated[float, f32(-2.0, 2.0)] | None = None
    logit_bias: dict[str, F32] | None = None
    logprobs: U32 | None = None
    max_tokens: U32 | None = None
    n: Annotated[int, u32(1, 128)] | None = None
    presence_penalty: Annotated[float, f32(-2.0, 2.0)] | None = None
    seed: I64 | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Annotated[float, f32(0.0, 2.0)] | None = None
    top_p: TopP | None = None
    user: str | None = None
    top_k: TopK | None = None
    min_p: Annotated[float, f32(0.0, 1.0)] | None = None
    min_tokens: U32 | None = None
    repetition_penalty: Annotated[float, f32(0.0, 2.0)] | None = None
    regex: str | None = None
    ebnf: str | None = None
    json_schema: str | None = None
    stop_token_ids: list[U32] | None = None
    no_stop_trim: bool | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    lora_path: str | None = None
    session_params: AnyObject | None = None
    return_hidden_states: bool | None = None
    sampling_seed: U64 | None = None
    rid: str | None = None
    cache_salt: msgspec.Raw = msgspec.Raw(b"null")
    extra_key: msgspec.Raw = msgspec.Raw(b"null")


def needs_second_look(request: CompletionRequest) -> bool:
    """Whether the request breaks a rule that decoding does not check."""
    return request.top_k == 0 or broken_combination(request) is not None


def broken_combination(request: CompletionRequest) -> Broken | None:
    """Return the first rule across fields that the request breaks."""
    if request.stream_options is not None and not request.stream:
        return STREAM_OPTIONS_WITHOUT_STREAM
    limit = float("inf") if request.max_tokens is None else request.max_tokens
    if request.min_tokens is not None and request.min_tokens > limit:
        return Broken("min_tokens_exceeds_max", "min_tokens cannot exceed max_tokens")
    constraints = (request.regex, request.ebnf, request.json_schema)
    if constraints.count(None) < 2:
        return SEVERAL_CONSTRAINTS
    if request.best_of is None:
        return None
    if request.n is not None and request.best_of <= request.n:
        return Broken("best_of_less_than_n", "best_of must be greater than n")
    if request.stream:
        text = "best_of is not supported when stream is enabled"
        return Broken("best_of_not_supported_with_stream", text)
    return None


def routing_text(request: CompletionRequest) -> str:
    """Return the prompt, a list joined by one space."""
    prompt = request.prompt
    return prompt if isinstance(prompt, str) else " ".join(prompt)


def choices_of(request: CompletionRequest) -> int:
    """Return the number of prompts of a list, else how many answers are asked for."""
    if isinstance(request.prompt, list) and len(request.prompt) > 1:
        return len(request.prompt)
    return request.n or 1
