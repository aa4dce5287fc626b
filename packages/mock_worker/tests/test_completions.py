from collections.abc import Callable
from typing import Any

import pytest
from smg_mock_worker.completions import parse_completion, split_prompts
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel

MakeCall = Callable[..., Call]
Whole = Callable[[Exchange], Any]
Events = Callable[[Exchange], list[Any]]


def test_a_whole_answer_is_a_text_completion(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    body = whole(parse_completion(call_with(prompt="Once upon", max_tokens=4), served))

    assert body["id"].startswith("cmpl-")
    assert (body["object"], body["model"]) == ("text_completion", "mock-model")
    (choice,) = body["choices"]
    assert len(choice["text"].split()) == 4
    assert choice["text"].startswith(" ")
    assert (choice["finish_reason"], choice["matched_stop"]) == ("length", None)
    assert body["usage"]["prompt_tokens"] == 2


def test_a_stream_says_the_same_as_the_whole_answer(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_completion(call_with(prompt="Once upon", max_tokens=4, stream=True), served)
    chunks = events(exchange)

    assert exchange.stream
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert text == whole(exchange)["choices"][0]["text"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 4 + ["length"]


def test_each_prompt_gets_n_choices_and_counts_once(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(prompt=["a b", "c"], n=2, max_tokens=3)
    body = whole(parse_completion(call, served))

    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert body["usage"]["prompt_tokens"] == 3
    assert body["usage"]["completion_tokens"] == 12


def test_echo_puts_the_prompt_in_front(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_completion(call_with(prompt="Once upon", echo=True, max_tokens=2), served)

    assert whole(exchange)["choices"][0]["text"].startswith("Once upon ")
    assert events(exchange)[0]["choices"][0]["text"] == "Once upon"


def test_echo_alone_needs_no_new_token(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(prompt="Once upon", echo=True, max_tokens=0)

    assert whole(parse_completion(call, served))["choices"][0]["text"] == "Once upon"


def test_log_probabilities_are_those_of_the_older_api(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_completion(call_with(prompt="x", logprobs=1, max_tokens=2), served)
    logprobs = whole(exchange)["choices"][0]["logprobs"]

    assert len(logprobs["tokens"]) == len(logprobs["token_logprobs"]) == 2
    assert events(exchange)[0]["choices"][0]["logprobs"]["tokens"] == logprobs["tokens"][:1]


def test_usage_comes_at_the_end_of_a_stream_when_asked(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    call = call_with(prompt="x", max_tokens=2, stream_options={"include_usage": True})
    last = events(parse_completion(call, served))[-1]

    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 2)


def test_vllm_names_the_stop_field_its_own_way(
    vllm: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(prompt="x", max_tokens=40, stop=" the", include_stop_str_in_output=True)
    (choice,) = whole(parse_completion(call, vllm))["choices"]

    assert choice["stop_reason"] == " the"
    assert choice["text"].endswith(" the")


@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        ("text", ["text"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2]], [[1], [2]]),
    ],
)
def test_prompts_come_as_text_or_ids_alone_or_in_lists(
    given: str | list[str | int | list[int]], prompts: list[object]
) -> None:
    assert split_prompts(given, "prompt") == prompts


@pytest.mark.parametrize("given", [[], ["a", 1], [-1], [[2**31]]])
def test_other_prompts_are_refused(given: list[str | int | list[int]]) -> None:
    with pytest.raises(RequestRefused) as refused:
        split_prompts(given, "prompt")

    assert (refused.value.status, refused.value.param) == (400, "prompt")


def test_a_negative_limit_is_refused(served: ServedModel, call_with: MakeCall) -> None:
    with pytest.raises(RequestRefused, match="max_tokens must be at least 0"):
        parse_completion(call_with(prompt="x", max_tokens=-1), served)


def test_the_same_prompt_as_text_and_as_ids_gets_the_same_answer(
    served: ServedModel, call_with: MakeCall
) -> None:
    as_text = parse_completion(call_with(prompt="Once upon a time"), served)
    ids = list(as_text.choices[0].prompt)
    as_ids = parse_completion(call_with(prompt=ids), served)

    assert as_ids.choices[0].answer == as_text.choices[0].answer
