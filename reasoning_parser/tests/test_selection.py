"""Which parser a model gets."""

from __future__ import annotations

import pytest
from smg_reasoning_parser import PARSER_NAMES, ParserUnknown, reasoning_parser_for, resolve_parser

MODELS = {
    "CohereForAI/c4ai-command-r-v01": "cohere_cmd",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": "deepseek_r1",
    "deepseek-ai/DeepSeek-V3.1-Base": "deepseek_v31",
    "deepseek-ai/DeepSeek-V3.2": "passthrough",
    "deepseek_v4_local": "deepseek_v4",
    "deepseek-v4.10": "deepseek_v41",
    "google/gemma-4-31b-it": "gemma4",
    "zai-org/GLM-5": "glm45",
    "zai-org/GLM-4.5-Air": "passthrough",
    "x/hy_v4": "hy_v4",
    "thinkingmachines/Inkling": "inkling",
    "kimi-k2.6": "kimi",
    "moonshotai/Kimi-K2.5": "kimi_k25",
    "moonshotai/Kimi_K3": "kimi_k3",
    "moonshotai/Kimi-K2-Thinking": "kimi_thinking",
    "minimaxm3": "minimax",
    "MiniMaxAI/MiniMax-M3": "minimax_m3",
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8": "nano_v3",
    "Qwen/Qwen3-235B-A22B-Thinking-2507": "qwen3",
    "qwen3-thinking-235b": "qwen3_thinking",
    "stepfun-ai/step3-fp8": "step3",
    "gpt-4o": "passthrough",
}


@pytest.mark.parametrize(("model", "parser"), MODELS.items())
def test_a_model_id_asks_for_its_parser(model: str, parser: str) -> None:
    assert reasoning_parser_for(model) == parser
    assert parser in PARSER_NAMES


def test_the_model_card_decides_before_the_configured_name_and_that_before_the_id() -> None:
    assert resolve_parser("qwen3-8b") == "qwen3"
    assert resolve_parser("qwen3-8b", configured="kimi") == "kimi"
    assert resolve_parser("qwen3-8b", card_names=["glm45"], configured="kimi") == "glm45"


def test_of_cards_that_disagree_the_alphabetically_first_decides() -> None:
    assert resolve_parser("m", card_names=["step3", None, "base", ""]) == "base"


def test_a_deciding_name_must_be_known() -> None:
    with pytest.raises(ParserUnknown):
        resolve_parser("m", configured="nosuch")
