"""OpenAI text completions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from smg_mock_worker.chat import StreamOptions
from smg_mock_worker.errors import Flavour, RequestRefused
from smg_mock_worker.exchange import (
    DONE_FRAME,
    Call,
    Choice,
    Exchange,
    ServedModel,
    Usage,
    Wishes,
    decode_body,
    encode_json,
    make_id,
    plan_choices,
    stop_strings,
)
from smg_mock_worker.logprobs import text_logprobs
from smg_mock_worker.tokens import VOCABULARY_SIZE

__all__ = ("CompletionExchange", "Prompt", "parse_completion", "split_prompts")

Prompt = str | Sequence[int]
"""A prompt as text or as token ids."""


class CompletionRequest(msgspec.Struct):
    """The fields of a completion request that the simulator looks at."""

    prompt: str | list[str | int | list[int]]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    no_stop_trim: bool | None = None
    include_stop_str_in_output: bool | None = None
    echo: bool | None = None
    logprobs: int | None = None
    rid: str | list[str] | None = None


def split_prompts(given: str | Sequence[str | int | list[int]], param: str) -> list[Prompt]:
    """One or several prompts, each as text or as ids; a list of numbers is one prompt.

    Raises `RequestRefused` (400) for an empty list, a mixture, and numbers that are no token ids.
    """
    if isinstance(given, str):
        return [given]
    numbers = [part for part in given if isinstance(part, int)]
    prompts: list[Prompt] = [part for part in given if not isinstance(part, int)]
    if numbers and not prompts:
        prompts = [numbers]
    elif not given or numbers:
        raise RequestRefused(400, f"{param} must be text or token ids, not empty.", param=param)
    for prompt in prompts:
        if not isinstance(prompt, str) and not all(0 <= n < VOCABULARY_SIZE for n in prompt):
            raise RequestRefused(
                400, f"Token ids must be between 0 and {VOCABULARY_SIZE - 1}.", param=param
            )
    return prompts


def parse_completion(call: Call, served: ServedModel) -> "CompletionExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, CompletionRequest)
    model = served.resolve(request.model)
    limit = request.max_tokens
    if limit is not None and limit < 0:
        raise RequestRefused(
            400, f"max_tokens must be at least 0, got {limit}.", param="max_tokens"
        )
    wishes = Wishes(
        token_limit=limit,
        stops=stop_strings(request.stop),
        keep_stop=bool(request.no_stop_trim or request.include_stop_str_in_output),
        choice_count=1 if request.n is None else request.n,
    )
    choices: list[Choice] = []
    echoes: list[str] = []
    for prompt in split_prompts(request.prompt, "prompt"):
        text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
        ids = None if isinstance(prompt, str) else prompt
        planned = plan_choices(served, text, wishes, prompt=ids)
        choices += planned
        echoes += [text if request.echo else ""] * len(planned)
    return CompletionExchange(request, choices, echoes, model, served.flavour, call.created)


class CompletionExchange(Exchange):
    """A text completion under way; `echoes` has the text to put before each choice."""

    def __init__(
        self,
        request: CompletionRequest,
        choices: Sequence[Choice],
        echoes: Sequence[str],
        model: str,
        flavour: Flavour,
        created: int,
    ) -> None:
        self.choices = choices
        self.stream = bool(request.stream)
        self.rid = request.rid if isinstance(request.rid, str) else None
        self._echoes = echoes
        self._logprobs = request.logprobs
        options = request.stream_options or StreamOptions()
        self._include_usage = bool(options.include_usage)
        self._stop_field = "matched_stop" if flavour is Flavour.SGLANG else "stop_reason"
        self._start = b'{"id":%s,"object":"text_completion","created":%d,"model":%s,' % (
            encode_json(self.rid or make_id("cmpl-")),
            created,
            encode_json(model),
        )
        self._heads = [
            b'data: %b"choices":[{"index":%d,"text":' % (self._start, number)
            for number in range(len(choices))
        ]
        self._tail = b',"logprobs":null,"finish_reason":null}]}\n\n'

    def open_choice(self, choice: int, cached_tokens: int) -> bytes:
        """The prompt, if it is to be echoed."""
        echo = self._echoes[choice]
        return self._heads[choice] + encode_json(echo) + self._tail if echo else b""

    def token(self, choice: int, index: int) -> bytes:
        """One word."""
        token = self.choices[choice].answer.tokens[index]
        tail = self._tail
        if self._logprobs is not None:
            logprobs = encode_json(text_logprobs((token,), self._logprobs))
            tail = b',"logprobs":%b,"finish_reason":null}]}\n\n' % logprobs
        return self._heads[choice] + encode_json(token) + tail

    def close_choice(self, choice: int) -> bytes:
        """The finish reason."""
        answer = self.choices[choice].answer
        return b'%b"","logprobs":null,"finish_reason":%b,"%b":%b}]}\n\n' % (
            self._heads[choice],
            encode_json(answer.finish_reason),
            self._stop_field.encode(),
            encode_json(answer.matched_stop),
        )

    def end(self, usage: Usage) -> bytes:
        """The usage, if it was asked for, and the end mark."""
        if not self._include_usage:
            return DONE_FRAME
        return b'data: %b"choices":[],"usage":%b}\n\n' % (self._start, usage.openai()) + DONE_FRAME

    def whole(self, usage: Usage) -> bytes:
        """The `text_completion` object."""
        choices = [self._whole_choice(number) for number in range(len(self.choices))]
        return b'%b"choices":%b,"usage":%b}' % (
            self._start,
            encode_json(choices),
            usage.openai(),
        )

    def _whole_choice(self, number: int) -> dict[str, Any]:
        answer, echo, top = self.choices[number].answer, self._echoes[number], self._logprobs
        return {
            "index": number,
            "text": echo + "".join(answer.tokens),
            "logprobs": None if top is None else text_logprobs(answer.tokens, top, len(echo)),
            "finish_reason": answer.finish_reason,
            self._stop_field: answer.matched_stop,
        }
