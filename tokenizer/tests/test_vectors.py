"""Recorded answers of the reference gateway are given here too.

`SMG_TOKENIZER_VECTORS` names a folder with recordings in the same form (`tokenize.jsonl`,
`stop_decoder.jsonl`) to check those instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smg_tokenizer import StopSequenceDecoder, StopSequences, TokenIdInvalid, Tokenizer

FOLDER = Path(os.environ.get("SMG_TOKENIZER_VECTORS") or Path(__file__).parent / "data")
Load = Callable[[str], Tokenizer]


def cases(name: str, *operations: str) -> list[Any]:
    lines = (FOLDER / f"{name}.jsonl").read_text().splitlines()
    read = map(json.loads, lines)
    chosen = [case for case in read if not operations or case["op"] in operations]
    return [pytest.param(case, id=case["id"]) for case in chosen]


@pytest.mark.parametrize("case", cases("tokenize", "tokenize"))
def test_a_text_has_the_recorded_ids_and_comes_back(case: dict[str, Any], load: Load) -> None:
    tokenizer = load(case["fixture"])
    expected = case["expect"]
    ids = tokenizer.encode(case["text"]).ids
    assert list(ids) == expected["ids"]
    assert tokenizer.decode(ids) == expected["decode"]["skip"]
    assert tokenizer.decode(ids, skip_special_tokens=False) == expected["decode"]["keep"]


@pytest.mark.parametrize("case", cases("tokenize", "detokenize"))
def test_ids_have_the_recorded_text(case: dict[str, Any], load: Load) -> None:
    tokenizer = load(case["fixture"])
    body = case["expect"]["body"]
    if case["expect"]["status"] == 200:
        assert tokenizer.decode(case["ids"]) == body["text"]
    else:
        with pytest.raises(TokenIdInvalid) as refused:
            tokenizer.decode(case["ids"])
        assert body["error"]["message"].endswith(str(refused.value))


def stops_of(case: dict[str, Any]) -> StopSequences:
    """The stops of a recorded request, as a gateway makes them."""
    params = case["params"]
    stop = params.get("stop", [])
    texts = (stop,) if isinstance(stop, str) else tuple(stop)
    ends = [] if params.get("ignore_eos") else case["eos_token_ids"]
    ids = frozenset([*ends, *params.get("stop_token_ids", [])])
    if params.get("no_stop_trim"):
        return StopSequences(visible_ids=ids, visible_texts=texts)
    return StopSequences(hidden_ids=ids, hidden_texts=texts)


@pytest.mark.parametrize("case", cases("stop_decoder"))
def test_an_answer_stops_where_the_recorded_one_did(case: dict[str, Any], load: Load) -> None:
    decoder = StopSequenceDecoder(
        load(case["fixture"]),
        stops_of(case),
        skip_special_tokens=case["params"].get("skip_special_tokens", True),
    )
    steps: list[list[str]] = []
    for token_id in [token_id for chunk in case["token_chunks"] for token_id in chunk]:
        text = decoder.push(token_id)
        if text is not None:
            steps.append(["stopped_text" if decoder.stopped else "text", text])
        else:
            steps.append(["stopped" if decoder.stopped else "held"])
        if decoder.stopped:
            break
    rest = decoder.flush()
    model = case["model"]
    assert steps == model["steps"]
    assert (["held"] if rest is None else ["text", rest]) == model["flush"]
    assert decoder.stopped == model["stopped"]
    assert decoder.matched_stop == model["matched_stop"]
