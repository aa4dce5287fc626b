"""What rendering costs, beside transformers where that is installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..renderers.contract import RenderOptions
from ..renderers.deepseek_v4 import DeepSeekV4Renderer
from .template import ChatTemplate

__all__ = ("measure",)

TURNS = 20
TOOLS = 5
# Long enough for a steady mean, short enough to wait for.
SECONDS_EACH = 0.5

# What instruct templates do: tools as JSON, calls and results in tags, thinking left out of history.
TEMPLATE = """{%- if tools %}<|im_start|>system
{%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
# Tools
<tools>{% for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}
</tools><|im_end|>
{% endif %}
{%- set ns = namespace(last=messages | length - 1) %}
{%- for message in messages[::-1] %}
{%- if message.role == 'user' and message.content is string %}
{%- set ns.last = messages | length - loop.index0 - 1 %}{% break %}{% endif %}{% endfor %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
{{- '<|im_start|>assistant\\n' + content }}
{%- for call in message.tool_calls or [] %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}{{ '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' ~ message.content ~ '</tool_response><|im_end|>\\n' }}
{%- elif not loop.first or not tools %}
{{- '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}"""


def measure() -> list[tuple[str, float, float]]:
    """Rows of name, microseconds here, and microseconds with transformers (NaN without it)."""
    messages, tools = _conversation(), _tools()
    template = ChatTemplate(TEMPLATE, {"eos_token": "<|im_end|>"})
    native = DeepSeekV4Renderer()
    options = RenderOptions(tools=tools)
    theirs = _transformers_us(messages, tools)
    return [
        (
            f"template, {TURNS} messages and {TOOLS} tools",
            _mean_us(lambda: template.render(messages, options)),
            theirs,
        ),
        (
            f"DeepSeek V4, {TURNS} messages and {TOOLS} tools",
            _mean_us(lambda: native.render(messages, options)),
            float("nan"),
        ),
    ]


def _conversation() -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Answer briefly. " * 20}]
    while len(messages) < TURNS:
        call = {
            "id": f"call_{len(messages)}",
            "type": "function",
            "function": {"name": "tool_1", "arguments": {"city": "Paris", "days": 3}},
        }
        messages += [
            {"role": "user", "content": "What is the weather like? " * 10},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "sunny, 21 degrees " * 5},
            {"role": "assistant", "content": "It is sunny and mild. " * 15},
        ]
    return messages[:TURNS]


def _tools() -> list[dict[str, Any]]:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city to look up"},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
        },
        "required": ["city"],
    }
    return [
        {
            "type": "function",
            "function": {
                "name": f"tool_{number}",
                "description": "Looks up the weather of a city for some days. " * 3,
                "parameters": schema,
            },
        }
        for number in range(TOOLS)
    ]


def _transformers_us(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> float:
    try:
        # Not needed to use this package, and slow to import.
        from transformers.utils.chat_template_utils import render_jinja_template
    except ImportError:
        return float("nan")
    return _mean_us(
        lambda: render_jinja_template(
            [messages],
            tools=tools,
            chat_template=TEMPLATE,
            add_generation_prompt=True,
            eos_token="<|im_end|>",
        )
    )


def _mean_us(work: Callable[[], object]) -> float:
    work()
    rounds = 0
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS_EACH:
        work()
        rounds += 1
    return spent / rounds * 1e6
