"""Recorded operations on the reference indexes, one case per line of data/traces.jsonl.

Traces marked `approximate` record answers that overstate what a worker holds; the exact index
here may answer less for the same question, never more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from smg_kv_index import (
    EventIndex,
    EvictionOrder,
    StringTree,
    TokenTree,
    content_hash,
    path_hash_text,
    path_hash_tokens,
)

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "traces.jsonl").read_text("utf-8").splitlines()
]

HASHES = {
    "content_hash": lambda case: content_hash(case["tokens"]),
    "path_hash_text": lambda case: path_hash_text(case["text"]),
    "path_hash_tokens": lambda case: path_hash_tokens(case["tokens"]),
}


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["kind"] in kinds]


def string_answer(trees: dict[str, StringTree], op: dict[str, Any]) -> Any:
    tree = trees[op.get("tree", "a")]
    match op["op"]:
        case "insert":
            tree.insert(op["text"], op["tenant"])
        case "match":
            found = tree.match(op["text"])
            answer: dict[str, Any] = {
                "matched": found.matched,
                "input": found.total,
                "owners": sorted(found.holders),
            }
            if "tenant" in op["expect"]:
                answer["tenant"] = found.tenant or "empty"
            return answer
        case "match_tenant":
            return {"matched": tree.match_tenant(op["text"], op["tenant"])}
        case "evict_all_to":
            tree.evict_each_to(op["max"])
        case "merge_from":
            tree.merge(trees[op["other"]])
        case "tenant_sizes":
            return tree.tenant_sizes()
        case "used_sizes":
            return tree.used_sizes()
        case "entries":
            return [[text, list(holders)] for text, holders in tree.entries()]
        case unknown:
            raise AssertionError(unknown)
    return None


def token_answer(tree: TokenTree, op: dict[str, Any]) -> Any:
    match op["op"]:
        case "insert":
            tree.insert(op["tokens"], op["tenant"])
        case "match":
            found = tree.match(op["tokens"])
            return {
                "matched": found.matched,
                "input": found.total,
                "owners": sorted(found.holders),
            }
        case "evict_tenant":
            tree.evict_tenant(op["tenant"], op["max"])
        case "clear":
            tree.clear()
        case "tenant_sizes":
            return tree.tenant_sizes()
        case "entries":
            return [
                {
                    "n_tokens": entry.tokens_count,
                    "tenants": list(entry.tenants),
                    "last_page": list(entry.last_page),
                }
                for entry in tree.entries()
            ]
        case unknown:
            raise AssertionError(unknown)
    return None


def event_answer(index: EventIndex, op: dict[str, Any]) -> Any:
    match op["op"]:
        case "stored":
            try:
                index.stored(op["worker"], op["blocks"], op["parent"])
            except LookupError as refusal:
                return {"result": str(refusal)}
            return {"result": "ok"}
        case "removed":
            index.removed(op["worker"], op["hashes"])
        case "cleared" | "remove_worker":
            index.cleared(op["worker"])
        case "find":
            early_exit = op.get("early_exit", False)
            found = index.find_tokens(op["tokens"], op["block_size"], early_exit=early_exit)
            held = {worker: index.blocks_held(worker) for worker in found.scores}
            return {"scores": found.scores, "worker_block_counts": held}
        case "size":
            return {"total": len(index)}
        case unknown:
            raise AssertionError(unknown)
    return None


@pytest.mark.parametrize("case", of_kind("string_tree"))
def test_string_tree_answers_as_recorded(case: dict[str, Any]) -> None:
    trees = {"a": StringTree(), "b": StringTree()}
    for op in case["ops"]:
        assert string_answer(trees, op) == op.get("expect"), op


@pytest.mark.parametrize("case", of_kind("token_tree"))
def test_token_tree_answers_as_recorded(case: dict[str, Any]) -> None:
    tree = TokenTree(order=EvictionOrder(case["policy"]), page_tokens=case["page_size"])
    for op in case["ops"]:
        assert token_answer(tree, op) == op.get("expect"), op


@pytest.mark.parametrize("case", of_kind("event_index"))
def test_event_index_answers_as_recorded(case: dict[str, Any]) -> None:
    index = EventIndex()
    for op in case["ops"]:
        answer = event_answer(index, op)
        if case.get("approximate") and op["op"] == "find":
            recorded = op["expect"]["scores"]
            assert all(recorded[worker] >= held for worker, held in answer["scores"].items()), op
        else:
            assert answer == op.get("expect"), op


@pytest.mark.parametrize("case", of_kind(*HASHES))
def test_hashes_are_those_recorded(case: dict[str, Any]) -> None:
    assert HASHES[case["kind"]](case) == case["expect"]["u64"]
