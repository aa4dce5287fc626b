"""Bodies of the two legs, as pure functions."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.lanes.pairing import (
    Handoff,
    LogprobStream,
    batch_size,
    bootstrap_members,
    compatible,
    merge_logprobs,
    with_members,
)
from smg_gateway.upstream import Pool, PoolLimits, parse_origin
from smg_gateway.workers import BreakerConfig, CircuitBreaker, Worker, WorkerSpec
from smg_protocols import Dialect, read_intake

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=6), JSON, max_size=5)


def worker(runtime: str = "vllm", **spec: Any) -> Worker:
    url = spec.pop("url", "http://prefill:8000")
    pool = Pool(parse_origin(url), limits=PoolLimits(), clock=lambda: 0.0)
    breaker = CircuitBreaker(BreakerConfig(), lambda old, new: None)
    return Worker(
        url=url,
        models=(),
        pool=pool,
        breaker=breaker,
        spec=WorkerSpec(url=url, **spec),
        runtime=runtime,
        labels=spec.get("labels", {}),
    )


@given(OBJECTS, OBJECTS, st.sampled_from(["", " ", "\n\t "]))
def test_members_are_added_and_win(body: dict[str, Any], more: dict[str, Any], space: str) -> None:
    raw = (space + json.dumps(body) + space).encode()
    if more:
        assert json.loads(with_members(raw, more)) == {**body, **more}


@pytest.mark.parametrize(
    ("dialect", "body", "size"),
    [
        (Dialect.COMPLETIONS, {"model": "m", "prompt": "a"}, None),
        (Dialect.COMPLETIONS, {"model": "m", "prompt": ["a"]}, 1),
        (Dialect.COMPLETIONS, {"model": "m", "prompt": ["a", "b"]}, 2),
        (Dialect.GENERATE, {"input_ids": [1, 2]}, None),
        (Dialect.GENERATE, {"input_ids": [[1], [2]]}, 2),
        (Dialect.CHAT, {"model": "m", "messages": [{"role": "user", "content": "x"}]}, None),
        (Dialect.CHAT, {"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 3}, 3),
    ],
)
def test_a_batch_is_told_by_prompts_and_choices(
    dialect: Dialect, body: dict[str, Any], size: int | None
) -> None:
    view = read_intake(dialect, json.dumps(body).encode(), content_type=b"application/json")
    assert batch_size(view.request, view.choices) == size


def test_each_answer_of_a_batch_has_a_room_of_its_own() -> None:
    members = bootstrap_members(worker(bootstrap_port=9000), 3, Random(1))
    assert members["bootstrap_host"] == ["prefill"] * 3
    assert members["bootstrap_port"] == [9000] * 3
    assert len(set(members["bootstrap_room"])) == 3


def test_without_a_port_null_is_sent() -> None:
    assert bootstrap_members(worker(), None, Random(1))["bootstrap_port"] is None


@pytest.mark.parametrize(
    ("path", "body", "capped"),
    [
        ("/v1/chat/completions", {"max_completion_tokens": 9, "max_tokens": 9},
         {"max_completion_tokens": 1}),
        ("/v1/chat/completions", {"max_tokens": 9}, {"max_tokens": 1}),
        ("/v1/completions", {}, {"max_tokens": 1}),
        ("/v1/responses", {"max_output_tokens": 9}, {"max_output_tokens": 1}),
    ],
)  # fmt: skip
def test_the_vllm_prefill_leg_computes_one_token(
    path: str, body: dict[str, Any], capped: dict[str, Any]
) -> None:
    given_body = {**body, "stream": True, "stream_options": {}, "min_tokens": 3, "n": 2, "x": [1]}
    sent = json.loads(
        Handoff(worker(), lambda: "t").prefill_body(json.dumps(given_body).encode(), path)
    )
    params = sent.pop("kv_transfer_params")
    assert params == {"do_remote_decode": True, "do_remote_prefill": False}
    assert sent == {**capped, "stream": False, "n": 1, "x": [1]}


def test_what_the_prefill_worker_returns_is_passed_on_verbatim() -> None:
    handoff = Handoff(worker(kv_connector="NixlConnector"), lambda: "t")
    answer = b'{"kv_transfer_params": {"a": [1.50, null]}, "choices": []}'
    assert with_members(b"{}", handoff.decode_members(answer)) == (
        b'{"kv_transfer_params":{"a": [1.50, null]}}'
    )
    assert handoff.mode == "nixl"


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"nonsense", b'{"kv_transfer_params": null}', b"{}"]
)
def test_an_answer_without_parameters_lets_the_decode_worker_compute(answer: bytes) -> None:
    assert Handoff(worker(), lambda: "t").decode_members(answer) == {}


def test_mooncake_is_told_a_transfer_id() -> None:
    prefill = worker(kv_connector="MooncakeConnector", kv_engine_id="e", bootstrap_port=9)
    handoff = Handoff(prefill, lambda: "xfer-1")
    sent = json.loads(handoff.prefill_body(b"{}", "/v1/completions"))
    assert sent["kv_transfer_params"]["transfer_id"] == "xfer-1"
    assert handoff.decode_members(b"") == {
        "kv_transfer_params": {
            "do_remote_decode": False,
            "do_remote_prefill": True,
            "transfer_id": "xfer-1",
            "remote_engine_id": "e",
            "remote_bootstrap_addr": "http://prefill:9",
        }
    }


def test_mooncake_without_a_known_engine_transfers_nothing() -> None:
    several_ranks = worker(
        kv_connector="MooncakeConnector", kv_engine_id="e", labels={"dp_size": "2"}
    )
    assert Handoff(several_ranks, lambda: "x").decode_members(b"") == {}


def meta(*logprobs: object) -> dict[str, Any]:
    return {"text": "x", "meta_info": {"input_token_logprobs": list(logprobs)}}


def test_log_probabilities_are_joined_in_order() -> None:
    merged = merge_logprobs(json.dumps(meta(1, 2)).encode(), json.dumps(meta(3)).encode())
    assert json.loads(merged) == meta(1, 2, 3)
    batch = merge_logprobs(
        json.dumps([meta(1), meta(2)]).encode(), json.dumps([meta(3), meta(4)]).encode()
    )
    assert json.loads(batch) == [meta(1, 3), meta(2, 4)]


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_answers_of_other_shapes_stay_as_they_are(one: bytes, other: bytes) -> None:
    assert merge_logprobs(one, other) == other


@given(st.lists(st.integers(1, 30), max_size=12), st.booleans())
def test_any_chunking_of_a_stream_is_merged_alike(cuts: list[int], streamed: bool) -> None:
    known = json.dumps(meta("p")).encode()
    if streamed:
        known = b"data: " + known + b"\n\ndata: [DONE]\n\n"
    events = [f"data: {json.dumps(meta(n))}\n\n" for n in range(3)]
    whole = ": ping\n\n" + "".join(events) + "data: [DONE]\n\nrest"
    raw = whole.encode()
    stream, out = LogprobStream(known), b""
    for cut in cuts:
        out += stream.feed(raw[:cut])
        raw = raw[cut:]
    out += stream.feed(raw) + stream.finish()
    found = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    assert found == [meta("p", n) for n in range(3)]
    assert out.startswith(b": ping\n\n") and out.endswith(b"data: [DONE]\n\nrest")


def test_partners_share_engine_and_connector() -> None:
    sglang, vllm, unknown = worker("sglang"), worker("vllm"), worker("unspecified")
    nixl = worker("vllm", kv_connector="NixlConnector")
    mooncake = worker("vllm", kv_connector="MooncakeConnector")
    assert compatible(vllm, [sglang, vllm, unknown, nixl]) == [vllm, unknown, nixl]
    assert compatible(nixl, [mooncake, nixl, vllm]) == [nixl, vllm]
