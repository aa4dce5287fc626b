"""Models find their parser by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from smg_tool_parser import (
    ParserUnknown,
    call_ids_for,
    choose_tool_parser,
    create_parser,
    parser_names,
    tool_parser_for,
)

MODELS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "models.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("recorded", MODELS, ids=lambda recorded: str(recorded["model"]))
def test_a_model_has_the_recorded_parser(recorded: dict[str, object]) -> None:
    parsers = recorded["parsers"]
    assert isinstance(parsers, list)
    assert tool_parser_for(str(recorded["model"])) in parsers


@pytest.mark.parametrize(
    ("model", "parser"),
    [
        ("deepseek-ai/DeepSeek-V3.2-Exp", "deepseek31"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek32"),
        ("deepseek-v4.10", "deepseek_v41"),
        ("hy_v4", "hy_v4"),
        ("hy_v4-x", "passthrough"),
        ("my/HY4", "hy_v4"),
        ("phi-4", "passthrough"),
        ("", "passthrough"),
    ],
)
def test_the_longest_stem_wins(model: str, parser: str) -> None:
    assert tool_parser_for(model) == parser


def test_every_selected_parser_exists() -> None:
    names = parser_names()
    assert len(names) == 26
    assert all(create_parser(name).finish() == [] for name in names)


def test_cards_come_before_settings_and_settings_before_the_name() -> None:
    assert choose_tool_parser("qwen3", cards=[None, "step3", "llama"], configured="json") == "llama"
    assert choose_tool_parser("qwen3", cards=["", None], configured="json") == "json"
    assert choose_tool_parser("qwen3") == "qwen"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ParserUnknown, match="Unknown tool parser: nope") as refused:
        choose_tool_parser("qwen3", configured="nope")
    assert refused.value.name == "nope"
    with pytest.raises(ParserUnknown):
        create_parser("nope")


def test_kimi_models_number_their_calls_through_the_conversation() -> None:
    second, third = call_ids_for("moonshotai/Kimi-K2", 2), call_ids_for("Kimi-K3", 3)
    assert second is not None and second(1, "wave") == "functions.wave:3"
    assert third is not None and third(0, "wave") == "wave_3"
    assert call_ids_for("qwen3") is None
