from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel
from smg_mock_worker.generate import parse_generate

MakeCall = Callable[..., Call]
Whole = Callable[[Exchange], Any]
Events = Callable[[Exchange], list[Any]]

THREE = {"max_new_tokens": 3}


def test_a_whole_answer_has_text_ids_and_meta_info(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    body = whole(parse_generate(call_with(text="Say it", sampling_params=THREE, rid="r1"), served))

    assert len(body["text"].split()) == len(body["output_ids"]) == 3
    assert body["meta_info"] == {
        "id": "r1",
        "finish_reason": {"type": "length", "length": 3},
        "prompt_tokens": 2,
        "weight_version": "default",
        "completion_tokens": 3,
        "cached_tokens": 0,
        "e2e_latency": 0.0,
    }


def test_each_frame_repeats_the_answer_so_far(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    call = call_with(text="Say it", sampling_params=THREE)
    body = whole(parse_generate(call, served))
    chunks = events(parse_generate(call, served))

    assert [len(chunk["output_ids"]) for chunk in chunks] == [1, 2, 3]
    assert all(body["text"].startswith(chunk["text"]) for chunk in chunks)
    assert (chunks[-1]["text"], chunks[-1]["output_ids"]) == (body["text"], body["output_ids"])
    reasons = [chunk["meta_info"]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, {"type": "length", "length": 3}]


def test_text_that_needs_escapes_survives_the_stream(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    quoting = replace(served, answerer=lambda prompt: 'a "b"\n\\c é')
    chunks = events(parse_generate(call_with(text="x"), quoting))

    assert chunks[-1]["text"] == ' a "b"\n\\c é'


def test_a_batch_is_answered_by_a_list(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    call = call_with(
        text=["one", "two"], rid=["a", "b"], sampling_params=[{"max_new_tokens": 1}, THREE]
    )
    results = whole(parse_generate(call, served))
    chunks = events(parse_generate(call, served))

    assert [result["meta_info"]["id"] for result in results] == ["a", "b"]
    assert [result["meta_info"]["completion_tokens"] for result in results] == [1, 3]
    assert [chunk["index"] for chunk in chunks] == [0, 1, 1, 1]


def test_a_list_of_one_text_is_a_batch_too(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    assert len(whole(parse_generate(call_with(text=["one"]), served))) == 1


def test_several_choices_come_as_a_list(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(text="one", sampling_params={"n": 2, "max_new_tokens": 4})

    assert len({result["text"] for result in whole(parse_generate(call, served))}) == 2


def test_ids_instead_of_text_are_the_prompt(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    exchange = parse_generate(call_with(input_ids=[5, 6, 7], sampling_params=THREE), served)

    assert exchange.choices[0].prompt == [5, 6, 7]
    assert whole(exchange)["meta_info"]["prompt_tokens"] == 3


def test_an_empty_answer_still_gets_a_frame(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    call = call_with(text="x", sampling_params={"max_new_tokens": 0})
    (chunk,) = events(parse_generate(call, served))

    assert chunk["text"] == ""
    assert chunk["meta_info"]["finish_reason"] == {"type": "length", "length": 0}


def test_a_stop_string_is_named_in_the_finish_reason(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(text="x", sampling_params={"max_new_tokens": 60, "stop": [" the"]})

    reason = whole(parse_generate(call, served))["meta_info"]["finish_reason"]

    assert reason == {"type": "stop", "matched": " the"}


def test_cached_tokens_are_told_for_each_choice(served: ServedModel, call_with: MakeCall) -> None:
    exchange = parse_generate(call_with(text=["one", "two"]), served)
    exchange.open_choice(1, 16)

    assert b'"cached_tokens":0' in exchange.token(0, 0)
    assert b'"cached_tokens":16' in exchange.token(1, 0)


def test_log_probabilities_cover_prompt_and_answer(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(input_ids=[5, 6], return_logprob=True, sampling_params=THREE)
    body = whole(parse_generate(call, served))
    meta = body["meta_info"]

    assert [entry[1] for entry in meta["input_token_logprobs"]] == [5, 6]
    assert [entry[1] for entry in meta["output_token_logprobs"]] == body["output_ids"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": "x", "input_ids": [1]},
        {"input_ids": []},
        {"text": ["x", "y"], "sampling_params": [THREE]},
        {"text": "x", "sampling_params": {"max_new_tokens": -1}},
    ],
)
def test_requests_that_make_no_sense_are_refused(
    served: ServedModel, call_with: MakeCall, fields: dict[str, object]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_generate(call_with(**fields), served)

    assert refused.value.status == 400
