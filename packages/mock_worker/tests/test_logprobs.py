from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.logprobs import chat_logprobs, text_logprobs, token_logprob


@given(st.text())
def test_a_log_probability_is_never_positive(token: str) -> None:
    assert -1 < token_logprob(token) <= 0


def test_chat_entries_have_as_many_alternatives_as_asked_for_best_first() -> None:
    (entry,) = chat_logprobs([" the"], 3)

    assert entry["token"] == " the"
    assert entry["bytes"] == [32, 116, 104, 101]
    numbers = [alternative["logprob"] for alternative in entry["top_logprobs"]]
    assert len(numbers) == 3
    assert numbers == sorted(numbers, reverse=True)
    assert entry["top_logprobs"][0]["logprob"] == entry["logprob"]


def test_alternatives_are_distinct_tokens() -> None:
    (entry,) = chat_logprobs([" the"], 9)

    assert len({alternative["token"] for alternative in entry["top_logprobs"]}) == 9


def test_text_offsets_count_characters_from_the_start_of_the_text() -> None:
    logprobs = text_logprobs([" one", " two"], 0, text_offset=5)

    assert logprobs["text_offset"] == [5, 9]
    assert logprobs["tokens"] == [" one", " two"]
    assert logprobs["top_logprobs"] is None


def test_text_alternatives_are_a_mapping_per_token() -> None:
    logprobs = text_logprobs([" one", " two"], 2)

    assert [len(alternatives) for alternatives in logprobs["top_logprobs"]] == [2, 2]
