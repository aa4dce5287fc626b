"""Recorded behaviour of the reference gateway, one case per line of data/cases.jsonl."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from smg_protocols import Dialect, RequestInvalid, read_intake

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "cases.jsonl").read_text().splitlines()
]
ROUTES = {dialect.value: dialect for dialect in Dialect}
# Answers that a router gives after a body was accepted.
ROUTER_STATUSES = (404, 501)
# Accepted here: the parser that the body names is looked up by the route.
ROUTE_LOOKUPS = ('/parse/reasoning#f:reasoning_parser="nope"',)


def why_out_of_scope(case: dict[str, Any]) -> str | None:
    if "http_default" not in case["expect"]:
        return "recorded in another mode only"
    if case["endpoint"] not in ROUTES:
        return "the route has no dialect here"
    if case["id"] in ROUTE_LOOKUPS:
        return "the route itself refuses it"
    return None


def sent(case: dict[str, Any]) -> bytes:
    if "body" in case:
        body = json.dumps(case["body"]).encode()
    elif "raw_hex" in case:
        body = bytes.fromhex(case["raw_hex"])
    else:
        body = case.get("raw", "").encode()
    return body.replace(b"$MODEL", b"model")


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    content_type = case.get("content_type", "application/json")
    try:
        read_intake(
            ROUTES[case["endpoint"]],
            sent(case),
            content_type=None if content_type is None else content_type.encode(),
        )
    except RequestInvalid as refusal:
        if refusal.plain_text:
            return {"status": refusal.status}
        return {"status": refusal.status, "code": refusal.code, "param": refusal.param}
    return {"status": 200}


def recorded(case: dict[str, Any]) -> dict[str, Any]:
    expected = case["expect"]["http_default"]
    if expected["status"] in ROUTER_STATUSES:
        return {"status": 200}
    kept = {key: expected[key] for key in ("status", "code", "param") if key in expected}
    return {"status": kept["status"]} if expected.get("envelope") == "anthropic" else kept


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_body_is_judged_as_recorded(case: dict[str, Any]) -> None:
    reason = why_out_of_scope(case)
    if reason is not None:
        pytest.skip(reason)

    expected, found = recorded(case), outcome(case)

    assert {key: found.get(key) for key in expected} == expected


def test_only_a_handful_of_cases_is_out_of_scope() -> None:
    assert Counter(map(why_out_of_scope, CASES)) == {
        None: 149,
        "recorded in another mode only": 3,
        "the route has no dialect here": 1,
        "the route itself refuses it": 1,
    }
