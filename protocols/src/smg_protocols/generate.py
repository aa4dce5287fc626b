"""The native /generate route: what routing and validation read of a request."""

from typing import Annotated, ClassVar, Final

import msgspec

from smg_protocols.wire import (
    F32,
    I32,
    I64,
    U32,
    U64,
    AnyObject,
    OneOf,
    StringMap,
    StringOrArray,
)

__all__ = (
    "GenerateBatchRequest",
    "GenerateRequest",
    "SamplingParams",
    "choices_of",
    "routing_text",
    "token_ids_of",
)

_NULL: Final = msgspec.Raw(b"null")


class SamplingParams(msgspec.Struct, frozen=True):
    """Sampling parameters; the HTTP routes check their types, not their ranges."""

    temperature: F32 | None = None
    max_new_tokens: U32 | None = None
    top_p: F32 | None = None
    top_k: I32 | None = None
    frequency_penalty: F32 | None = None
    presence_penalty: F32 | None = None
    repetition_penalty: F32 | None = None
    stop: StringOrArray | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    json_schema: str | None = None
    regex: str | None = None
    ebnf: str | None = None
    min_p: F32 | None = None
    min_new_tokens: U32 | None = None
    stop_token_ids: list[U32] | None = None
    no_stop_trim: bool | None = None
    n: U32 | None = None
    sampling_seed: U64 | None = None


class _GenerateBody(msgspec.Struct, frozen=True):
    keeps_unknown: ClassVar[bool] = True
    text: str | None = None
    model: str = ""
    sampling_params: SamplingParams | None = None
    return_logprob: bool | None = None
    logprob_start_len: I32 | None = None
    top_logprobs_num: I32 | None = None
    token_ids_logprob: list[U32] | None = None
    return_text_in_logprobs: bool = False
    stream: bool | None = None
    log_metrics: bool = True
    return_hidden_states: bool | None = None
    modalities: list[str] | None = None
    session_params: AnyObject | None = None
    lora_path: str | None = None
    lora_id: str | None = None
    custom_logit_processor: str | None = None
    bootstrap_host: str | None = None
    bootstrap_port: I32 | None = None
    bootstrap_room: I64 | None = None
    bootstrap_pair_key: str | None = None
    data_parallel_rank: I32 | None = None
    background: bool = False
    conversation_id: str | None = None
    priority: I32 | None = None
    extra_key: str | None = None
    no_logs: bool = False
    custom_labels: StringMap | None = None
    return_bytes: bool = False
    return_entropy: bool = False
    rid: str | None = None
    cache_salt: msgspec.Raw = _NULL


class GenerateRequest(_GenerateBody, frozen=True):
    """The body of POST /generate; members not named here pass unread."""

    input_ids: Annotated[list[I32] | None, OneOf("InputIds", (list[I32], list[list[I32]]))] = None


class GenerateBatchRequest(_GenerateBody, frozen=True):
    """The same body with several prompts of token ids, which the decoder cannot tell apart."""

    input_ids: list[list[I32]] | None = None


def routing_text(request: GenerateRequest | GenerateBatchRequest) -> str:
    """Return the text, else the token ids in decimal joined by one space."""
    if request.text is not None:
        return request.text
    ids: list[int] = []
    for item in request.input_ids or []:
        if isinstance(item, list):
            ids.extend(item)
        else:
            ids.append(item)
    return " ".join(map(str, ids))


def token_ids_of(request: GenerateRequest | GenerateBatchRequest) -> list[int] | None:
    """Return the token ids of a single prompt, None for text and for batches."""
    ids = request.input_ids
    if request.text is not None or not isinstance(request, GenerateRequest) or ids is None:
        return None
    return None if ids and isinstance(ids[0], list) else request.input_ids


def choices_of(request: GenerateRequest | GenerateBatchRequest) -> int:
    """Return the number of prompts of a batch, else 1."""
    ids = request.input_ids
    return len(ids) if ids and isinstance(ids[0], list) else 1
