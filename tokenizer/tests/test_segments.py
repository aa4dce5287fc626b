"""Added tokens are found leftmost first, the longest of those that start together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from smg_tokenizer import Segmenter
from smg_tokenizer.segments import overlapping

tokens = st.lists(st.text("ab<|>", min_size=1, max_size=5), min_size=1, max_size=8, unique=True)


def test_a_text_is_cut_at_its_tokens() -> None:
    segmenter = Segmenter({"<a>": 1, "<ab>": 2})
    assert list(segmenter.split("x<ab>y<a><a")) == [
        ("x", None),
        ("<ab>", 2),
        ("y", None),
        ("<a>", 1),
        ("<a", None),
    ]


def test_without_tokens_a_text_is_one_piece() -> None:
    assert list(Segmenter({}).split("abc")) == [("abc", None)]
    assert list(Segmenter({}).split("")) == []


def test_late_tokens_are_found_in_what_the_others_leave() -> None:
    segmenter = Segmenter({"<a>": 1}, {"x<a": 2, "y": 3})
    assert list(segmenter.split("x<a>y")) == [("x", None), ("<a>", 1), ("y", 3)]


@given(tokens, st.text("ab<|>", max_size=30))
def test_the_automaton_finds_what_a_search_by_hand_finds(names: list[str], text: str) -> None:
    ids = {name: place for place, name in enumerate(names)}
    expected: list[tuple[str, int | None]] = []
    rest = position = 0
    while position < len(text):
        found = max((n for n in names if text.startswith(n, position)), key=len, default=None)
        if found is None:
            position += 1
            continue
        if rest < position:
            expected.append((text[rest:position], None))
        expected.append((found, ids[found]))
        position = rest = position + len(found)
    if rest < len(text):
        expected.append((text[rest:], None))
    assert list(Segmenter(ids).split(text)) == expected


@given(tokens, tokens)
def test_sets_overlap_if_a_token_can_begin_in_one_of_the_other(
    left: list[str], right: list[str]
) -> None:
    def reaches(a: str, b: str) -> bool:
        return any(b.startswith(a[start:]) or a.startswith(b, start) for start in range(len(a)))

    expected = any(reaches(a, b) or reaches(b, a) for a in left for b in right)
    assert overlapping(left, right) == expected
