"""Templates tell by their syntax what they expect."""

from __future__ import annotations

import pytest
from smg_tokenizer.templates import ChatTemplate


def each(body: str) -> str:
    return "{% for m in messages %}" + body + "{% endfor %}"


PARTS = {
    "loop over an attribute": each("{% for p in m.content %}{% endfor %}"),
    "loop over an item": each("{% for p in m['content'] %}{% endfor %}"),
    "loop through a filter": each("{% for p in m.content | reverse %}{% endfor %}"),
    "loop over something deeper": each("{% for p in m.content.parts %}{% endfor %}"),
    "loop over a variable": "{% for p in content %}{% endfor %}",
    "loop in a condition": each("{% if m.x %}{% for p in m.content %}{% endfor %}{% endif %}"),
    "loop in another branch": each(
        "{% if m.x %}{% elif y %}{% for p in m.content %}{% endfor %}{% endif %}"
    ),
    "loop in a generation block": each(
        "{% generation %}{% for p in m.content %}{% endfor %}{% endgeneration %}"
    ),
    "numbered item in a condition": each("{% if m.content[0].type == 'text' %}{% endif %}"),
    "numbered item in the output": each("{{ m.content[0].text | trim }}"),
    "numbered item of a variable": "{{ content[0] }}",
    "length": each("{% if m.content | length > 1 %}{% endif %}"),
    "length behind a test": each("{% if not (x and content | length is even) %}{% endif %}"),
    "macro that tests and loops": "{% macro r(c) %}{% if c is string %}{{ c }}{% else %}{% for p in c %}{% endfor %}{% endif %}{% endmacro %}",
}
TEXT = {
    "plain output": each("{{ m.content }}"),
    "assignment": each("{% set content = m.content %}{{ content }}"),
    "type test": each("{% if m.content is string %}{{ m.content }}{% endif %}"),
    "iterable test": each("{% if m.content is iterable %}{% endif %}"),
    "slice": each("{{ m.content[1:] }}"),
    "named item": each("{{ m.content['text'] }}"),
    "loop over another message": "{% for x in others %}{% for p in x.content %}{% endfor %}{% endfor %}",
    "loop over calls": each("{% for c in m.tool_calls %}{{ c.name }}{% endfor %}"),
    "loop over a method's result": each("{% for p in m.content.split('x') %}{% endfor %}"),
    "macro that only loops": "{% macro r(c) %}{% for p in c %}{% endfor %}{% endmacro %}",
    "macro that compares": "{% macro r(c) %}{% if c == 1 %}{% for p in c %}{% endfor %}{% endif %}{% endmacro %}",
    "message out of its loop": each("") + "{% for p in m.content %}{% endfor %}",
}


@pytest.mark.parametrize("text", [*PARTS.values()], ids=[*PARTS])
def test_templates_that_look_into_contents_read_parts(text: str) -> None:
    assert ChatTemplate(text, {}).content_format == "openai"


@pytest.mark.parametrize("text", [*TEXT.values()], ids=[*TEXT])
def test_templates_that_print_contents_read_text(text: str) -> None:
    assert ChatTemplate(text, {}).content_format == "string"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% if add_generation_prompt %}A<think>\n{% endif %}", True),
        ("{% if add_generation_prompt and x %}{{ 'A<think>' }}{% endif %}", True),
        ("{% if not add_generation_prompt %}{% else %}<think>{% endif %}", False),
        ("{% if add_generation_prompt %}{% if x %}{% else %}<think>{% endif %}{% endif %}", True),
        ("{% if add_generation_prompt %}A{% endif %}<think>", False),
        ("{% if add_generation_prompt is defined %}<think>{% endif %}", False),
        ("{% if x %}<think>{% endif %}", False),
        ("{% if add_generation_prompt %}{{ x ~ '<think>' }}{% endif %}", False),
    ],
)
def test_an_opened_think_block_is_found_in_the_generation_prompt(text: str, expected: bool) -> None:
    assert ChatTemplate(text, {}).think_in_prefill is expected


@pytest.mark.parametrize(
    ("text", "toggle", "key"),
    [
        ("{{ messages }}", "none", None),
        ("{% if enable_thinking is defined %}{% endif %}", "default_on", "enable_thinking"),
        ("{% if thinking %}{% endif %}", "default_on", "thinking"),
        ("{% if thinking is defined %}{% endif %}", "default_on", "thinking"),
        ("{% if x and thinking == 1 %}{% endif %}", "default_on", "thinking"),
        ("{% if thinking_budget %}{% endif %}", "none", None),
        ("{% set thinking = false %}", "default_off", "thinking"),
        ("{% set enable_thinking=false %}", "default_off", "enable_thinking"),
        (
            "{% if enable_thinking %}{% endif %}{% set thinking = false %}",
            "default_off",
            "enable_thinking",
        ),
    ],
)
def test_the_switch_for_thinking_is_found(text: str, toggle: str, key: str | None) -> None:
    template = ChatTemplate(text, {})
    assert (template.thinking_toggle, template.thinking_key) == (toggle, key)
