"""SGLang's native `/generate`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from smg_mock_worker.completions import Prompt, split_prompts
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import (
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
    sse_frame,
    stop_strings,
)
from smg_mock_worker.logprobs import token_logprob

__all__ = ("GenerateExchange", "parse_generate")


class SamplingParams(msgspec.Struct):
    """The sampling parameters that shape the simulated answer."""

    max_new_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    no_stop_trim: bool | None = None


class GenerateRequest(msgspec.Struct):
    """The fields of a generate request that the simulator looks at."""

    text: str | list[str] | None = None
    input_ids: list[int | list[int]] | None = None
    sampling_params: SamplingParams | list[SamplingParams] | None = None
    stream: bool | None = None
    return_logprob: bool | list[bool] | None = None
    rid: str | list[str] | None = None
    model: str | None = None


def parse_generate(call: Call, served: ServedModel) -> "GenerateExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, GenerateRequest)
    if (request.text is None) == (request.input_ids is None):
        raise RequestRefused(400, "Either text or input_ids should be provided.")
    prompts: list[Prompt]
    if request.text is not None:
        prompts = split_prompts(request.text, "text")
    else:
        prompts = split_prompts(request.input_ids or (), "input_ids")
    params = request.sampling_params or SamplingParams()
    each = params if isinstance(params, list) else [params] * len(prompts)
    if len(each) != len(prompts):
        raise RequestRefused(400, "sampling_params must have one entry per prompt.")
    choices: list[Choice] = []
    for prompt, param in zip(prompts, each, strict=True):
        choices += _plan(served, prompt, param)
    batch = isinstance(request.text, list) or len(choices) > 1
    return GenerateExchange(request, choices, is_batch=batch)


def _plan(served: ServedModel, prompt: Prompt, params: SamplingParams) -> list[Choice]:
    if params.max_new_tokens is not None and params.max_new_tokens < 0:
        raise RequestRefused(400, "max_new_tokens must be at least 0.")
    wishes = Wishes(
        token_limit=params.max_new_tokens,
        stops=stop_strings(params.stop),
        keep_stop=bool(params.no_stop_trim),
        choice_count=1 if params.n is None else params.n,
    )
    if isinstance(prompt, str):
        return plan_choices(served, prompt, wishes)
    return plan_choices(served, " ".join(map(str, prompt)), wishes, prompt=prompt)


class GenerateExchange(Exchange):
    """A generate request under way; each frame repeats all text so far, as SGLang's does."""

    def __init__(
        self, request: GenerateRequest, choices: Sequence[Choice], *, is_batch: bool
    ) -> None:
        rids = [request.rid] if isinstance(request.rid, str) else request.rid or []
        self.choices = choices
        self.stream = bool(request.stream)
        self.rid = rids[0] if rids else None
        self._is_batch = is_batch
        self._logprobs = bool(request.return_logprob)
        self._ids = [
            rids[number] if number < len(rids) else make_id("") for number in range(len(choices))
        ]
        self._texts = [b""] * len(choices)
        self._numbers = [b""] * len(choices)
        self._cached = [0] * len(choices)

    def open_choice(self, choice: int, cached_tokens: int) -> bytes:
        """Nothing yet; the cached tokens are told with each token."""
        self._cached[choice] = cached_tokens
        return b""

    def token(self, choice: int, index: int) -> bytes:
        """The answer so far; the last token tells the finish reason."""
        answer = self.choices[choice].answer
        self._texts[choice] += encode_json(answer.tokens[index])[1:-1]
        number = b"%d" % answer.ids[index]
        self._numbers[choice] += b"," + number if index else number
        return self._frame(choice, index + 1)

    def close_choice(self, choice: int) -> bytes:
        """A frame for an empty answer, else nothing."""
        return b"" if self.choices[choice].answer.tokens else self._frame(choice, 0)

    def whole(self, usage: Usage) -> bytes:
        """One result, or the list of results for a batch."""
        results: list[dict[str, Any]] = [
            {
                "text": "".join(choice.answer.tokens),
                "output_ids": choice.answer.ids,
                "meta_info": {
                    **self._meta(
                        number, len(choice.answer.tokens), usage.cached_per_choice[number]
                    ),
                    "e2e_latency": usage.elapsed_s,
                },
            }
            for number, choice in enumerate(self.choices)
        ]
        return encode_json(results if self._is_batch else results[0])

    def _frame(self, choice: int, count: int) -> bytes:
        meta = self._meta(choice, count, self._cached[choice])
        return sse_frame(
            b'{"text":"%b","output_ids":[%b],"meta_info":%b%b}'
            % (
                self._texts[choice],
                self._numbers[choice],
                encode_json(meta),
                b',"index":%d' % choice if self._is_batch else b"",
            )
        )

    def _meta(self, number: int, count: int, cached_tokens: int) -> dict[str, Any]:
        choice = self.choices[number]
        answer = choice.answer
        finish: dict[str, Any] | None = None
        if count == len(answer.tokens):
            finish = {"type": "stop", "matched": answer.matched_stop}
            if answer.finish_reason == "length":
                finish = {"type": "length", "length": count}
        meta: dict[str, Any] = {
            "id": self._ids[number],
            "finish_reason": finish,
            "prompt_tokens": len(choice.prompt),
            "weight_version": "default",
            "completion_tokens": count,
            "cached_tokens": cached_tokens,
        }
        if self._logprobs:
            pairs = zip(answer.tokens[:count], answer.ids[:count], strict=True)
            meta["output_token_logprobs"] = [
                [token_logprob(token), token_id, None] for token, token_id in pairs
            ]
            meta["input_token_logprobs"] = [
                [None if not position else -1.0, token_id, None]
                for position, token_id in enumerate(choice.prompt)
            ]
        return meta
