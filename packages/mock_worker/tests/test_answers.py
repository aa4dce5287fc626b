import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.answers import (
    Answer,
    answer_words,
    compose_text,
    cut_at_stop,
    fit_text,
    prompt_seed,
)
from smg_mock_worker.tokens import split_tokens, token_ids


def test_the_same_prompt_gives_the_same_seed_and_another_choice_another() -> None:
    assert prompt_seed([1, 2, 3]) == prompt_seed([1, 2, 3])
    assert len({prompt_seed([1, 2, 3], choice) for choice in range(8)}) == 8
    assert prompt_seed([1, 2, 3]) != prompt_seed([1, 2, 4])


@given(st.integers(0, 2**40), st.integers(0, 200), st.booleans())
def test_a_text_has_exactly_the_tokens_that_were_asked_for(
    seed: int, count: int, rounded: bool
) -> None:
    tokens = compose_text(seed, count, rounded=rounded)

    assert len(tokens) == count
    assert split_tokens("".join(tokens)) == tokens


@given(st.integers(0, 2**40), st.integers(1, 100))
def test_a_rounded_text_ends_with_a_sentence(seed: int, count: int) -> None:
    assert compose_text(seed, count, rounded=True)[-1].endswith(".")


@given(st.integers(0, 2**40), st.integers(0, 100))
def test_a_shorter_text_is_the_beginning_of_a_longer_one(seed: int, count: int) -> None:
    assert compose_text(seed, 100)[:count] == compose_text(seed, count)


@given(st.integers(0, 2**40))
def test_all_words_of_a_text_are_known_beforehand(seed: int) -> None:
    assert set(compose_text(seed, 60, rounded=True)) <= answer_words()


def test_a_given_text_is_cut_at_the_limit() -> None:
    assert fit_text("one two three", 2) == ([" one", " two"], "length")
    assert fit_text("one two three", 3) == ([" one", " two", " three"], "stop")
    assert fit_text("", None) == ([], "stop")


def test_the_text_of_an_answer_has_no_space_in_front() -> None:
    tokens = [" one", " two"]

    assert Answer(tokens=tokens, ids=token_ids(tokens), finish_reason="stop").text == "one two"


@pytest.mark.parametrize(
    ("stops", "keep_stop", "text", "matched"),
    [
        (["two"], False, "one ", "two"),
        (["two"], True, "one two", "two"),
        (["three", "e t"], False, "on", "e t"),
        (["four", ""], False, "one two three", None),
    ],
)
def test_the_first_stop_string_ends_the_answer(
    stops: list[str], keep_stop: bool, text: str, matched: str | None
) -> None:
    answer = cut_at_stop([" one", " two", " three"], "length", stops, keep_stop=keep_stop)

    assert answer.text == text
    assert answer.matched_stop == matched
    assert answer.finish_reason == ("stop" if matched else "length")
    assert answer.ids == token_ids(answer.tokens)
