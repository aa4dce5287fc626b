from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.tokens import VOCABULARY_SIZE, Vocabulary, split_tokens, token_id, token_ids


@given(st.text())
def test_tokens_joined_again_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


@given(st.text())
def test_no_token_is_longer_than_sixteen_visible_characters(text: str) -> None:
    assert all(len(token.strip()) <= 16 for token in split_tokens(text))


def test_a_token_is_a_word_with_the_space_before_it() -> None:
    assert split_tokens("the quiet  river\n") == ["the", " quiet", "  river", "\n"]


def test_a_long_word_becomes_several_tokens() -> None:
    assert split_tokens("x" * 40) == ["x" * 16, "x" * 16, "x" * 8]


@given(st.text(min_size=1))
def test_ids_stay_inside_the_vocabulary(token: str) -> None:
    assert 0 <= token_id(token) < VOCABULARY_SIZE


def test_ids_never_change_between_versions_and_processes() -> None:
    assert token_ids(["the", " quiet"]) == (1011183078, 651814700)


@given(st.text())
def test_what_was_encoded_decodes_to_itself(text: str) -> None:
    vocabulary = Vocabulary()

    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_an_unknown_id_is_shown_as_a_number() -> None:
    assert Vocabulary().decode([7]) == " <7>"


def test_known_words_decode_without_having_been_encoded() -> None:
    assert Vocabulary([" river"]).decode([token_id(" river")]) == " river"


def test_the_longest_unused_words_are_forgotten_first() -> None:
    vocabulary = Vocabulary(capacity=2)
    first, second, _ = vocabulary.encode("a b") + vocabulary.encode("a")
    (third,) = vocabulary.encode("c")

    assert len(vocabulary) == 2
    assert vocabulary.decode([first, third]) == "ac"
    assert vocabulary.decode([second]) == f" <{second}>"
