"""The native /generate route: types are checked, ranges are not, errors are plain text."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, read_intake


def accept(**body: Any) -> Intake:
    return read_intake(
        Dialect.GENERATE, json.dumps(body).encode(), content_type=b"application/json"
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "hi", "input_ids": [1]},
        {"text": "hi", "sampling_params": {"min_new_tokens": 5, "max_new_tokens": 1}},
        {"text": "hi", "sampling_params": {"temperature": 99, "top_k": 0, "stop": ["a"] * 9}},
        {"text": "hi", "stream": None, "return_hidden_states": None},
        {"input_ids": []},
        {"input_ids": [-1, 2]},
        {"input_ids": [[1, 2], []]},
        {"text": "hi", "image_data": [1], "anything": {}},
    ],
    ids=str,
)
def test_well_typed_requests_pass(body: dict[str, Any]) -> None:
    assert accept(**body).dialect is Dialect.GENERATE


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"text": 5}, "text: invalid type: integer `5`, expected a string"),
        ({"text": ["a"]}, "text: invalid type: sequence, expected a string"),
        ({"input_ids": [1, [2]]}, "input_ids: data did not match any variant of untagged enum"),
        ({"input_ids": [2**31]}, "input_ids: data did not match any variant of untagged enum"),
        ({"sampling_params": {"n": -1}}, "sampling_params.n: invalid value: integer `-1`"),
        ({"background": None}, "background: invalid type: null, expected a boolean"),
    ],
    ids=str,
)
def test_a_wrong_type_is_answered_in_plain_text(body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        accept(**body)

    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.plain_text) == (422, None, True)
    assert refusal.message.startswith(
        f"Failed to deserialize the JSON body into the target type: {complaint}"
    )


@pytest.mark.parametrize(
    ("body", "model"), [({}, None), ({"model": ""}, None), ({"model": "m"}, "m")]
)
def test_no_name_and_an_empty_one_mean_any_model(body: dict[str, Any], model: str | None) -> None:
    assert accept(**body).model == model


@pytest.mark.parametrize(
    ("body", "text", "ids", "choices"),
    [
        ({"text": "hi", "input_ids": [1]}, "hi", None, 1),
        ({"input_ids": [1, 20]}, "1 20", [1, 20], 1),
        ({"input_ids": [[1], [2, 3]]}, "1 2 3", None, 2),
        ({"input_ids": []}, "", [], 1),
        ({}, "", None, 1),
    ],
    ids=str,
)
def test_prompts_are_seen_as_text_and_as_ids(
    body: dict[str, Any], text: str, ids: list[int] | None, choices: int
) -> None:
    intake = accept(**body)

    assert (intake.routing_text(), intake.token_ids, intake.choices) == (text, ids, choices)


def test_ids_keep_their_meaning_when_only_the_diagnosis_accepts_the_body() -> None:
    single = accept(input_ids=[1, 2], sampling_params={"sampling_seed": 2**64 - 1})
    batch = accept(input_ids=[[1], [2]], sampling_params={"sampling_seed": 2**64 - 1})

    assert (single.token_ids, single.choices) == ([1, 2], 1)
    assert (batch.token_ids, batch.choices) == (None, 2)
