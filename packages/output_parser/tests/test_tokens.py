"""Fed by token ids, special tokens are markers and their spelling is text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from smg_output_parser import Message, OutputParser, OutputPlan, TokenFeeder, gather
from smg_tool_parser.testing import TOOLS

SPECIAL = {1_000: "<tool_call>", 1_001: "</tool_call>", 1_002: "<think>", 1_003: "</think>"}
IDS = {word: token_id for token_id, word in SPECIAL.items()}
PLAN = OutputPlan("qwen", "qwen3")


class Letters:
    """A vocabulary of single characters."""

    def step(self, token_id: int) -> str | None:
        return chr(token_id)

    def flush(self) -> str:
        return ""


def ids_of(*parts: str | int) -> list[int]:
    ids: list[int] = []
    for part in parts:
        ids += [part] if isinstance(part, int) else [ord(letter) for letter in part]
    return ids


def read(ids: list[int], size: int = 1, plan: OutputPlan = PLAN) -> Message:
    feeder = TokenFeeder(OutputParser(plan, TOOLS), Letters(), SPECIAL)
    events = [
        event for at in range(0, len(ids), size) for event in feeder.feed(ids[at : at + size])
    ]
    return gather(events + feeder.finish())


CALL_BODY = '\n{"name": "find_item", "arguments": {"code": "</tool_call> A"}}\n'


def test_special_tokens_are_markers() -> None:
    ids = ids_of(IDS["<think>"], "Hm.", IDS["</think>"], "Yes. ")
    ids += ids_of(IDS["<tool_call>"], CALL_BODY, IDS["</tool_call>"])
    message = read(ids)
    assert message.reasoning == "Hm."
    assert message.text.strip() == "Yes."
    (call,) = message.calls
    assert call.arguments == '{"code": "</tool_call> A"}'


def test_parameters_that_spell_a_special_token_keep_it() -> None:
    body = "\n<function=find_item>\n<parameter=code>\n</think> A\n</parameter>\n</function>\n"
    ids = ids_of(IDS["<tool_call>"], body, IDS["</tool_call>"])
    (call,) = read(ids, plan=OutputPlan("qwen_xml", "qwen3")).calls
    assert call.arguments == '{"code": "</think> A"}'


def test_text_that_spells_a_special_token_is_text() -> None:
    words = "Write <tool_call> and </tool_call>, or <think>."
    message = read(ids_of(words))
    assert (message.reasoning, message.text, message.calls) == ("", words, ())


def test_a_spelling_that_breaks_off_is_handed_on_at_the_end() -> None:
    assert read(ids_of("a <tool_c")).text == "a <tool_c"


@given(
    st.lists(
        st.one_of(st.sampled_from(sorted(SPECIAL)), st.sampled_from([*SPECIAL.values(), "x<", "y"]))
    ),
    st.integers(1, 9),
)
def test_any_grouping_of_the_ids_says_the_same(parts: list[str | int], size: int) -> None:
    ids = ids_of(*parts)
    one, other = read(ids), read(ids, size)
    assert (one.reasoning, one.text) == (other.reasoning, other.text)
    assert [call.arguments for call in one.calls] == [call.arguments for call in other.calls]
    assert "\ufdd0" not in one.text + one.reasoning
