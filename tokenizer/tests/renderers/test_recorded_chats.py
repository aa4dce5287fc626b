"""Recorded chat requests are rendered to the prompt that the reference gateway sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from smg_tokenizer.errors import RenderingFailed
from smg_tokenizer.renderers import SegmentRenderer
from smg_tokenizer.templates import (
    ChatRenderer,
    RenderOptions,
    load_chat_renderer,
    prepare_messages,
    prepare_tools,
    template_kwargs_for,
    thinking_from_effort,
)

DATA = Path(__file__).parent / "data"
MODELS: Mapping[str, Any] = json.loads((DATA / "models.json").read_text("utf-8"))
LINES = (DATA / "chats.jsonl").read_text("utf-8").splitlines()
CASES: list[dict[str, Any]] = [json.loads(line) for line in LINES]
CHATS = [pytest.param(case, id=case["id"]) for case in CASES]
RENDERED = [pytest.param(case, id=case["id"]) for case in CASES if "prompt" in case]
WRITTEN_BY_CODE = [
    pytest.param(case, id=case["id"])
    for case in CASES
    if "prompt" in case and case["model"] in {"dsv32", "dsv4", "dsv41", "kimik3"}
]


def renderer_of(model: str, directory: Path) -> ChatRenderer:
    for name, content in MODELS[model]["files"].items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (directory / name).write_text(text, "utf-8")
    config = MODELS[model]["files"]["tokenizer_config.json"]
    tokens = {name: value for name, value in config.items() if name.endswith("_token")}
    texts = {name: t if isinstance(t, str) else t["content"] for name, t in tokens.items()}
    renderer = load_chat_renderer(
        directory,
        special_tokens=texts,
        backend=MODELS[model]["backend"],
        tokenizer_config=config,
    )
    assert renderer is not None
    return renderer


def options_of(request: Mapping[str, Any], renderer: ChatRenderer) -> RenderOptions:
    effort = request.get("reasoning_effort")
    choice = request.get("tool_choice")
    return RenderOptions(
        tools=prepare_tools(request.get("tools"), choice, renderer.preparation),
        template_kwargs=template_kwargs_for(
            reasoning_effort=effort,
            tool_choice=choice,
            response_format=request.get("response_format"),
            has_tools=bool(request.get("tools")),
            chat_template_kwargs=request.get("chat_template_kwargs"),
        ),
        thinking=thinking_from_effort(effort),
        continue_final_message=request.get("continue_final_message", False),
    )


@pytest.mark.parametrize("case", CHATS)
def test_a_recorded_chat_gives_the_recorded_prompt(case: dict[str, Any], tmp_path: Path) -> None:
    renderer = renderer_of(case["model"], tmp_path)
    request = case["request"]
    options = options_of(request, renderer)
    if "refused" in case:
        with pytest.raises(RenderingFailed):
            renderer.render(prepare_messages(request["messages"], renderer), options)
        return
    messages = prepare_messages(request["messages"], renderer)
    assert renderer.render(messages, options) == case["prompt"]


@pytest.mark.parametrize("case", WRITTEN_BY_CODE)
def test_its_segments_are_the_same_prompt(case: dict[str, Any], tmp_path: Path) -> None:
    renderer = cast(SegmentRenderer, renderer_of(case["model"], tmp_path))
    request = case["request"]
    messages = prepare_messages(request["messages"], renderer)
    segments = renderer.render_segments(messages, options_of(request, renderer))
    assert "".join(segment.text for segment in segments) == case["prompt"]
    kinds = [segment.is_control for segment in segments]
    assert all(one is not other for one, other in pairwise(kinds))


def tokens_of(text: str, special: list[str]) -> int:
    """How many tokens a text has where all but special tokens are bytes."""
    written = re.findall("|".join(map(re.escape, special)), text)
    return len(text.encode()) - sum(len(token.encode()) - 1 for token in written)


@pytest.mark.parametrize("case", RENDERED)
def test_its_prompt_has_the_recorded_number_of_tokens(case: dict[str, Any], tmp_path: Path) -> None:
    renderer = renderer_of(case["model"], tmp_path)
    special = MODELS[case["model"]]["special"]
    if not renderer.preparation.ordinary_text:
        assert tokens_of(case["prompt"], special) == case["tokens"]
        return
    messages = prepare_messages(case["request"]["messages"], renderer)
    segments = cast(SegmentRenderer, renderer).render_segments(
        messages, options_of(case["request"], renderer)
    )
    counts = [
        tokens_of(segment.text, special) if segment.is_control else len(segment.text.encode())
        for segment in segments
    ]
    assert sum(counts) == case["tokens"]
