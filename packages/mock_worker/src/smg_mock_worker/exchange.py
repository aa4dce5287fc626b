"""One parsed inference request: what it wants of the engine and how its answer is worded."""

import abc
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from smg_mock_worker.answers import (
    Answer,
    Answerer,
    compose_text,
    cut_at_stop,
    fit_text,
    prompt_seed,
)
from smg_mock_worker.errors import Flavour, RequestRefused
from smg_mock_worker.tokens import split_tokens, token_ids

__all__ = (
    "DONE_FRAME",
    "Call",
    "Choice",
    "Exchange",
    "ServedModel",
    "Usage",
    "Wishes",
    "decode_body",
    "encode_json",
    "make_id",
    "plan_choices",
    "sse_frame",
    "stop_strings",
)

DONE_FRAME = b"data: [DONE]\n\n"
MAX_CHOICES = 128

T = TypeVar("T")
encode_json = msgspec.json.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request as the routes see it; `headers` finds names in any case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def created(self) -> int:
        """The time of arrival in whole seconds of Unix time, as answers carry it."""
        return int(self.received_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What a worker serves: `names` (the first is the default), limits and how it answers.

    `answer_tokens` is the length of an answer to a request that sets no limit.
    """

    names: tuple[str, ...]
    flavour: Flavour
    max_model_len: int
    answer_tokens: int
    answerer: Answerer | None = None

    def resolve(self, name: str | None) -> str:
        """The served name for a request's `model`; raises `RequestRefused` (404) if unknown."""
        if not name:
            return self.names[0]
        if name not in self.names:
            quoted = f"`{name}`" if self.flavour is Flavour.VLLM else f"'{name}'"
            raise RequestRefused(404, f"The model {quoted} does not exist.", param="model")
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The parts of a request that shape its answers.

    `token_limit`: exactly so many tokens, None = the natural length. With `natural_end` the limit
    is only an upper bound. `stops` end an answer early; `keep_stop` leaves them in the text.
    """

    token_limit: int | None = None
    natural_end: bool = False
    stops: Sequence[str] = ()
    keep_stop: bool = False
    choice_count: int = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to compute: the prompt's token ids and what will be said.

    `counts_prompt` is False where an earlier choice has the same prompt, which usage counts once.
    """

    prompt: Sequence[int]
    answer: Answer
    counts_prompt: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one exchange; a prompt with several choices counts once.

    `cached_per_choice` has the cached prompt tokens of each choice; `elapsed_s` is the time that
    the engine took.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cached_per_choice: Sequence[int]
    elapsed_s: float = 0.0

    def openai(self) -> bytes:
        """As the `usage` object of chat and text completions."""
        return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,%s}' % (
            self.prompt_tokens,
            self.completion_tokens,
            self.prompt_tokens + self.completion_tokens,
            b'"prompt_tokens_details":{"cached_tokens":%d}' % self.cached_tokens,
        )


class Exchange(abc.ABC):
    """A parsed request. The server asks the engine for each of `choices` and calls these methods.

    Streamed answers call, in this order: `begin` once the first prompt is being computed, per choice
    `open_choice`, `token` for each token and `close_choice`, then `end`. Each returns server-sent
    events, or nothing. Whole answers call `whole` alone.
    """

    choices: Sequence[Choice]
    stream: bool = False
    rid: str | None = None

    def begin(self, usage: Usage) -> bytes:
        """Frames in front of everything; `usage` has no completion yet."""
        return b""

    def open_choice(self, choice: int, cached_tokens: int) -> bytes:
        """Frames that open choice number `choice`, whose prompt was cached so far."""
        return b""

    def token(self, choice: int, index: int) -> bytes:
        """The frame of output token `index` of a choice."""
        return b""

    def close_choice(self, choice: int) -> bytes:
        """Frames that close a choice."""
        return b""

    def end(self, usage: Usage) -> bytes:
        """Frames after the last choice."""
        return DONE_FRAME

    @abc.abstractmethod
    def whole(self, usage: Usage) -> bytes:
        """The body of an answer that is not streamed."""

    def usage(
        self,
        cached_per_choice: Sequence[int],
        completion_tokens: int | None = None,
        elapsed_s: float = 0.0,
    ) -> Usage:
        """Sum up; without `completion_tokens` the answers count in full."""
        if completion_tokens is None:
            completion_tokens = sum(len(choice.answer.tokens) for choice in self.choices)
        counted = [number for number, choice in enumerate(self.choices) if choice.counts_prompt]
        return Usage(
            prompt_tokens=sum(len(self.choices[number].prompt) for number in counted),
            completion_tokens=completion_tokens,
            cached_tokens=sum(cached_per_choice[number] for number in counted),
            cached_per_choice=cached_per_choice,
            elapsed_s=elapsed_s,
        )


def plan_choices(
    served: ServedModel, text: str, wishes: Wishes, *, prompt: Sequence[int] | None = None
) -> list[Choice]:
    """The choices of one prompt, given as `text` and, when it came so, as token ids.

    Raises `RequestRefused` (400) when prompt and wished answer exceed the model's length or too
    many choices are wished for.
    """
    ids = token_ids(split_tokens(text)) if prompt is None else prompt
    if not 1 <= wishes.choice_count <= MAX_CHOICES:
        raise RequestRefused(400, f"n must be between 1 and {MAX_CHOICES}.", param="n")
    limit, room = wishes.token_limit, served.max_model_len - len(ids)
    if (limit or 1) > room:
        raise RequestRefused(
            400,
            f"The maximum context length is {served.max_model_len} tokens, but the prompt has "
            f"{len(ids)} and {limit or 1} more are to be generated.",
            param="max_tokens" if limit else None,
        )
    return [
        Choice(ids, _plan_answer(served, text, ids, wishes, number, room), not number)
        for number in range(wishes.choice_count)
    ]


def _plan_answer(
    served: ServedModel, text: str, prompt: Sequence[int], wishes: Wishes, choice: int, room: int
) -> Answer:
    limit = wishes.token_limit
    given = served.answerer(text) if served.answerer else None
    if given is not None:
        tokens, reason = fit_text(given, room if limit is None else limit)
    else:
        natural = min(served.answer_tokens, room)
        wished = natural if limit is None else limit
        count = min(wished, natural) if wishes.natural_end else wished
        cut = limit is not None and (not wishes.natural_end or limit < natural)
        tokens = compose_text(prompt_seed(prompt, choice), count, rounded=not cut)
        reason = "length" if cut else "stop"
    return cut_at_stop(tokens, reason, wishes.stops, keep_stop=wishes.keep_stop)


def decode_body(body: bytes, kind: type[T]) -> T:
    """`body` as a `kind`; raises `RequestRefused` (400) for bad JSON and wrong shapes."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise RequestRefused(400, f"Invalid request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestRefused(400, f"Invalid JSON: {error}") from None


def stop_strings(stop: str | Sequence[str] | None) -> Sequence[str]:
    """The `stop` field of a request as a list."""
    return (stop,) if isinstance(stop, str) else stop or ()


def make_id(prefix: str) -> str:
    """A fresh id such as `chatcmpl-<32 hex digits>`."""
    return prefix + uuid.uuid4().hex


def sse_frame(data: bytes, event: str | None = None) -> bytes:
    """One server-sent event."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
