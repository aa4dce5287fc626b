"""Completions: what is refused, with which code, and what is passed on."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, read_intake


def accept(**changes: Any) -> Intake:
    body = {"model": "m", "prompt": "hi", **changes}
    return read_intake(
        Dialect.COMPLETIONS, json.dumps(body).encode(), content_type=b"application/json"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": ""},
        {"prompt": [""]},
        {"max_tokens": 0},
        {"n": 128},
        {"logprobs": 50},
        {"best_of": 3, "n": 2},
        {"best_of": 3},
        {"stream": True, "stream_options": {}},
        {"min_tokens": 5, "max_tokens": 5},
        {"user": "u", "suffix": "s", "foo": 1},
        {"ignore_eos": None, "skip_special_tokens": None, "no_stop_trim": None},
    ],
    ids=str,
)
def test_good_requests_pass(changes: dict[str, Any]) -> None:
    assert accept(**changes).model == "m"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"prompt": None}, "invalid_type", "prompt"),
        ({"prompt": []}, "prompt_empty", "prompt"),
        ({"prompt": [1, 2]}, "invalid_type", "prompt"),
        ({"prompt": [[1], [2]]}, "invalid_type", "prompt"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"n": 129}, "integer_above_max_value", "n"),
        ({"best_of": 21}, "integer_above_max_value", "best_of"),
        ({"logprobs": True}, "invalid_type", "logprobs"),
        ({"echo": None}, "invalid_type", "echo"),
        ({"user": 5}, "invalid_type", "user"),
        ({"top_k": 0}, "invalid_value", "top_k"),
        ({"stream_options": {}}, "stream_options_requires_stream", None),
        ({"min_tokens": 5, "max_tokens": 1}, "min_tokens_exceeds_max", None),
        ({"regex": "a", "json_schema": "{}"}, "multiple_constraints", None),
        ({"best_of": 2, "n": 2}, "best_of_less_than_n", None),
        ({"best_of": 2, "stream": True}, "best_of_not_supported_with_stream", None),
    ],
    ids=str,
)
def test_bad_requests_are_refused(changes: dict[str, Any], code: str, param: str | None) -> None:
    with pytest.raises(RequestInvalid) as caught:
        accept(**changes)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


def test_a_request_without_prompt_misses_it() -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_intake(Dialect.COMPLETIONS, b'{"model": "m"}', content_type=b"application/json")

    assert caught.value.message == (
        "Invalid JSON data: Failed to deserialize the JSON body into the target type: "
        "missing field `prompt` at line 1 column 14"
    )


@pytest.mark.parametrize(
    ("changes", "text", "choices"),
    [
        ({"prompt": "a"}, "a", 1),
        ({"prompt": "a", "n": 4}, "a", 4),
        ({"prompt": ["a"], "n": 4}, "a", 4),
        ({"prompt": ["a", "", "b"]}, "a  b", 3),
    ],
    ids=str,
)
def test_prompts_are_joined_and_counted(changes: dict[str, Any], text: str, choices: int) -> None:
    intake = accept(**changes)

    assert (intake.routing_text(), intake.choices) == (text, choices)
