from dataclasses import replace

import msgspec
import pytest
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import (
    Exchange,
    ServedModel,
    Usage,
    Wishes,
    decode_body,
    make_id,
    plan_choices,
    sse_frame,
    stop_strings,
)


class Example(msgspec.Struct):
    number: int


class Fixed(Exchange):
    """Two prompts, the first of them with two choices."""

    def __init__(self, served: ServedModel) -> None:
        self.choices = [
            *plan_choices(served, "a b", Wishes(choice_count=2, token_limit=3)),
            *plan_choices(served, "c", Wishes(token_limit=3)),
        ]

    def whole(self, usage: Usage) -> bytes:
        return b""


def test_without_a_name_the_first_model_answers(served: ServedModel) -> None:
    assert served.resolve(None) == served.resolve("") == "mock-model"
    assert served.resolve("org/other") == "org/other"


def test_an_unknown_model_is_not_found(served: ServedModel) -> None:
    with pytest.raises(RequestRefused, match="'nope' does not exist") as refused:
        served.resolve("nope")

    assert (refused.value.status, refused.value.param) == (404, "model")


def test_the_same_prompt_gets_the_same_answer(served: ServedModel) -> None:
    assert plan_choices(served, "hello", Wishes()) == plan_choices(served, "hello", Wishes())


def test_choices_of_one_prompt_differ_and_it_counts_once(served: ServedModel) -> None:
    choices = plan_choices(served, "hello", Wishes(choice_count=3))

    assert len({choice.answer.text for choice in choices}) == 3
    assert [choice.counts_prompt for choice in choices] == [True, False, False]


@pytest.mark.parametrize(
    ("wishes", "tokens", "reason"),
    [
        (Wishes(), 12, "stop"),
        (Wishes(token_limit=5), 5, "length"),
        (Wishes(token_limit=40), 40, "length"),
        (Wishes(token_limit=0), 0, "length"),
        (Wishes(token_limit=40, natural_end=True), 12, "stop"),
        (Wishes(token_limit=5, natural_end=True), 5, "length"),
    ],
)
def test_the_limit_sets_the_length_of_an_answer(
    served: ServedModel, wishes: Wishes, tokens: int, reason: str
) -> None:
    (choice,) = plan_choices(served, "hello", wishes)

    assert len(choice.answer.tokens) == tokens
    assert choice.answer.finish_reason == reason


def test_an_answerer_decides_what_is_said(served: ServedModel) -> None:
    echo = replace(served, answerer=lambda prompt: f"You said: {prompt}")
    (choice,) = plan_choices(echo, "good morning", Wishes())

    assert choice.answer.text == "You said: good morning"


def test_an_answerer_may_leave_a_prompt_to_the_model(served: ServedModel) -> None:
    silent = replace(served, answerer=lambda prompt: None)

    assert plan_choices(silent, "hello", Wishes()) == plan_choices(served, "hello", Wishes())


def test_ids_given_as_a_prompt_are_taken_as_they_are(served: ServedModel) -> None:
    (choice,) = plan_choices(served, "1 2", Wishes(), prompt=[1, 2])

    assert choice.prompt == [1, 2]


@pytest.mark.parametrize("limit", [None, 1])
def test_a_prompt_that_fills_the_context_is_refused(served: ServedModel, limit: int | None) -> None:
    with pytest.raises(RequestRefused, match="maximum context length is 1000"):
        plan_choices(served, "x " * 1_000, Wishes(token_limit=limit))


def test_an_answer_that_would_exceed_the_context_is_refused(served: ServedModel) -> None:
    with pytest.raises(RequestRefused, match="has 1 and 1000 more"):
        plan_choices(served, "x", Wishes(token_limit=1_000))


@pytest.mark.parametrize("count", [0, 129])
def test_the_number_of_choices_is_bounded(served: ServedModel, count: int) -> None:
    with pytest.raises(RequestRefused, match="n must be between 1 and 128"):
        plan_choices(served, "x", Wishes(choice_count=count))


def test_usage_counts_each_prompt_once(served: ServedModel) -> None:
    usage = Fixed(served).usage([1, 1, 0], elapsed_s=0.5)

    assert usage == Usage(
        prompt_tokens=3,
        completion_tokens=9,
        cached_tokens=1,
        cached_per_choice=[1, 1, 0],
        elapsed_s=0.5,
    )
    assert msgspec.json.decode(usage.openai()) == {
        "prompt_tokens": 3,
        "completion_tokens": 9,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 1},
    }


def test_an_exchange_has_no_frames_of_its_own_but_the_end_mark(served: ServedModel) -> None:
    exchange = Fixed(served)
    usage = exchange.usage([0, 0, 0])

    frames = [
        exchange.begin(usage),
        exchange.open_choice(0, 0),
        exchange.token(0, 0),
        exchange.close_choice(0),
        exchange.end(usage),
    ]

    assert frames == [b"", b"", b"", b"", b"data: [DONE]\n\n"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b'{"number":"\xff"}', "Invalid"),
        (b"{}", "missing required field `number`"),
        (b'{"number":"one"}', "Expected `int`"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestRefused, match=message) as refused:
        decode_body(body, Example)

    assert refused.value.status == 400


def test_a_fitting_body_is_decoded() -> None:
    assert decode_body(b'{"number":3,"more":true}', Example) == Example(3)


def test_stop_strings_come_alone_in_lists_or_not_at_all() -> None:
    assert list(map(stop_strings, ["x", ["y", "z"], None])) == [("x",), ["y", "z"], ()]


def test_ids_are_fresh() -> None:
    assert make_id("cmpl-").startswith("cmpl-")
    assert make_id("x") != make_id("x")


def test_frames_may_name_their_event() -> None:
    assert sse_frame(b"{}") == b"data: {}\n\n"
    assert sse_frame(b"{}", "ping") == b"event: ping\ndata: {}\n\n"
