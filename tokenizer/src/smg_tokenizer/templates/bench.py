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
ROUNDS = 500

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
    works: list[Callable[[], object]] = [
        lambda: template.render(messages, options),
        lambda: native.render(messages, options),
    ]
    reference = _transformers(messages, tools)
    if reference is not None:
        works.append(reference)
    ours, by_code, *theirs = _best_us(*works)
    size = f"{TURNS} messages and {TOOLS} tools"
    return [
        (f"template, {size}", ours, theirs[0] if theirs else float("nan")),
        (f"DeepSeek V4, {size}", by_code, float("nan")),
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


def _transformers(messages: list[dict[str, Any]], tools: list[Any]) -> Callable[[], object] | None:
    try:
        # Not needed to use this package, and slow to import.
        from transformers.utils.chat_template_utils import render_jinja_template
    except ImportError:
        return None
    return lambda: render_jinja_template(
        [messages],
        tools=tools,
        chat_template=TEMPLATE,
        add_generation_prompt=True,
        eos_token="<|im_end|>",
    )


def _best_us(*works: Callable[[], object]) -> list[float]:
    """The quickest run of each, taken in turns so that a busy moment hits all of them."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for place, work in enumerate(works):
            start = time.perf_counter()
            work()
            best[place] = min(best[place], time.perf_counter() - start)
    return [seconds * 1e6 for seconds in best]
