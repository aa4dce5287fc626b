"""Chat templates see what transformers shows them, and their mistakes are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from smg_tokenizer.errors import RenderingFailed, TemplateInvalid
from smg_tokenizer.templates import ChatTemplate, RenderOptions

USER = {"role": "user", "content": "hi"}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def render(text: str, *messages: dict[str, Any], **options: Any) -> str:
    return ChatTemplate(text, TOKENS).render(messages or [USER], RenderOptions(**options))


def test_tools_and_documents_are_always_defined_and_missing_tokens_never() -> None:
    text = (
        "{{ tools }}|{{ documents }}|{{ bos_token }}|{{ pad_token is defined }}|{{ x is defined }}"
    )
    assert render(text) == "None|None|<s>|False|False"


def test_variables_of_the_request_do_not_replace_the_conversation_or_its_tokens() -> None:
    variables = {"bos_token": "X", "messages": [], "add_generation_prompt": 0, "pad_token": "<p>"}
    text = "{{ bos_token }}{{ messages[0].content }}{{ add_generation_prompt }}{{ pad_token }}"
    assert render(text, template_kwargs=variables) == "<s>hiTrue<p>"


def test_blocks_take_their_line_with_them() -> None:
    assert render("A\n  {% if true %}\nB\n  {% endif %}\nC\n{# no #}\nD\n") == "A\nB\nC\nD"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("tools | tojson", '[{"b": "<é>", "a": null}]'),
        ("tools | tojson(ensure_ascii=true)", '[{"b": "<\\u00e9>", "a": null}]'),
        ("tools | tojson(separators=(',', ':'))", '[{"b":"<é>","a":null}]'),
        ("tools | tojson(sort_keys=true)", '[{"a": null, "b": "<é>"}]'),
        ("tools | tojson(indent=1)", '[\n {\n  "b": "<é>",\n  "a": null\n }\n]'),
        ("'😀' | tojson(ensure_ascii=true)", '"\\ud83d\\ude00"'),
    ],
)
def test_json_is_printed_as_python_prints_it(expression: str, expected: str) -> None:
    assert render(f"{{{{ {expression} }}}}", tools=[{"b": "<é>", "a": None}]) == expected


@pytest.mark.parametrize("options", ["separators=','", "separators=(1, 2)", "indent=-1"])
def test_impossible_json_options_fail(options: str) -> None:
    with pytest.raises(RenderingFailed):
        render(f"{{{{ [1] | tojson({options}) }}}}")


def test_the_date_comes_from_the_clock_that_was_given() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", {}, now=lambda: datetime(2024, 2, 29))
    assert template.render([USER], RenderOptions()) == "29 Feb 2024"


def test_loops_can_be_broken_and_continued() -> None:
    text = "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    assert render(text) == "023"


def test_generation_blocks_print_their_body_and_keep_what_they_set() -> None:
    text = "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}"
    assert render(text) == "21"


def test_reasoning_is_found_under_both_of_its_names() -> None:
    message = {"role": "assistant", "content": "", "reasoning_content": "why"}
    assert render("{{ messages[0].thinking }}", message) == "why"


def test_a_wish_to_think_reaches_the_variable_that_the_template_reads() -> None:
    text = (
        "{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}"
    )
    assert render(text) == "on"
    assert render(text, thinking=False) == "off"
    explicit = {"enable_thinking": True}
    assert render(text, thinking=False, template_kwargs=explicit) == "on"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ raise_exception('say system first') }}", "say system first"),
        ("{{ messages[0].nothing.more }}", "has no attribute 'nothing'"),
        ("{{ messages[0].content.nope() }}", "has no attribute 'nope'"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_what_a_template_complains_about_is_passed_on(text: str, told: str) -> None:
    with pytest.raises(RenderingFailed, match=told):
        render(text)


@pytest.mark.parametrize("text", ["{% if %}", "{{ a", "{% for x in y %}", "{{ x | nofilter }}"])
def test_a_template_that_does_not_parse_is_invalid(text: str) -> None:
    with pytest.raises(TemplateInvalid):
        ChatTemplate(text, {})


OPEN = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</{{ m.role }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


def test_a_final_message_is_continued_where_its_text_ends() -> None:
    final = {"role": "assistant", "content": "The answer is"}
    prompt = render(OPEN, USER, final, continue_final_message=True)
    assert prompt == "<user>hi</user><assistant>The answer is"


def test_blanks_that_the_template_strips_are_not_continued() -> None:
    final = {"role": "assistant", "content": "The answer is "}
    prompt = render(OPEN, USER, final, continue_final_message=True)
    assert prompt == "<user>hi</user><assistant>The answer is"


def test_the_last_text_part_of_a_final_message_is_continued() -> None:
    text = "{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}"
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    final = {"role": "assistant", "content": parts}
    assert render(text, final, continue_final_message=True) == "[a][b"
    assert parts[1]["text"] == "b"


def test_a_user_message_is_not_continued() -> None:
    assert render(OPEN, USER, continue_final_message=True) == "<user>hi</user><assistant>"


@pytest.mark.parametrize("content", [None, [], [{"type": "image"}]])
def test_a_final_message_without_text_can_not_be_continued(content: object) -> None:
    final = {"role": "assistant", "content": content}
    with pytest.raises(RenderingFailed, match="no text to continue"):
        render(OPEN, USER, final, continue_final_message=True)


def test_a_final_message_that_the_template_leaves_out_can_not_be_continued() -> None:
    final = {"role": "assistant", "content": "x"}
    with pytest.raises(RenderingFailed, match="leaves out"):
        render("{{ messages[0].content }}", USER, final, continue_final_message=True)
