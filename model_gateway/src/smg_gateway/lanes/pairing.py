"""What the two legs of a disaggregated request are told, and how their answers are joined.

SGLang runs both legs at once: they meet at the prefill worker's bootstrap server, in a room that
the request names. vLLM runs them one after the other: the prefill worker's answer names what the
decode worker is to fetch. Names and shapes are those engines' own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from ..workers import Worker

_LOGPROBS = b"input_token_logprobs"
ROOM_BITS = 63
NIXL = "NixlConnector"
MOONCAKE = "MooncakeConnector"
DEFAULT_BOOTSTRAP_PORT = 8998

_Object = dict[str, msgspec.Raw]
_encode = msgspec.json.encode
_decode_object = msgspec.json.Decoder(_Object).decode
_FALSE = msgspec.Raw(b"false")
_ONE = msgspec.Raw(b"1")


def with_members(body: bytes, members: dict[str, Any]) -> bytes:
    """A JSON object with further members at its end, where they win over earlier ones."""
    head = body.rstrip()[:-1]
    lead = b"" if head.rstrip().endswith(b"{") else b","
    return head + lead + _encode(members)[1:]


def bootstrap_members(prefill: Worker, batch: int | None, rng: Random) -> dict[str, Any]:
    """Where the legs meet: one room for each of `batch` answers, or one (None)."""
    host, port = prefill.pool.origin.host, prefill.spec.bootstrap_port
    if batch is None:
        room = rng.getrandbits(ROOM_BITS)
        return {"bootstrap_host": host, "bootstrap_port": port, "bootstrap_room": room}
    return {
        "bootstrap_host": [host] * batch,
        "bootstrap_port": [port] * batch,
        "bootstrap_room": [rng.getrandbits(ROOM_BITS) for _ in range(batch)],
    }


def batch_size(request: object, choices: int) -> int | None:
    """How many answers are asked for; None for a single one, which takes no lists.

    A prompt in a list of its own is a batch of one.
    """
    for name in ("prompt", "input_ids"):
        value = getattr(request, name, None)
        if isinstance(value, list) and value and isinstance(value[0], str | list):
            return len(value)
    return choices if choices > 1 else None


class Handoff:
    """How a vLLM prefill worker hands its KV cache over; its connector decides.

    Nixl and unknown connectors answer with what the decode worker needs; Mooncake is told a
    transfer id by the gateway, provided that the prefill worker's engine id is known.
    """

    def __init__(self, prefill: Worker, transfer_id: Callable[[], str]) -> None:
        spec = prefill.spec
        self._prefill = prefill
        self._engine_id = _engine_id(prefill)
        self._minted = transfer_id() if spec.kv_connector == MOONCAKE and self._engine_id else None
        self.mode = {NIXL: "nixl", MOONCAKE: "mooncake"}.get(spec.kv_connector or "", "passthrough")

    def prefill_body(self, body: bytes, path: str) -> bytes:
        """The request that computes the prompt's KV cache and one token, unstreamed."""
        members = _decode_object(body)
        members["stream"] = _FALSE
        for name in ("stream_options", "min_tokens"):
            members.pop(name, None)
        if "n" in members:
            members["n"] = _ONE
        if path == "/v1/responses":
            members["max_output_tokens"] = _ONE
        elif path == "/v1/chat/completions" and "max_completion_tokens" in members:
            members["max_completion_tokens"] = _ONE
            members.pop("max_tokens", None)
        else:
            members["max_tokens"] = _ONE
        params: dict[str, Any] = {"do_remote_decode": True, "do_remote_prefill": False}
        if self._minted is not None:
            params["transfer_id"] = self._minted
        members["kv_transfer_params"] = msgspec.Raw(_encode(params))
        return _encode(members)

    def decode_members(self, prefill_answer: bytes) -> dict[str, Any]:
        """What the decode request gains; nothing when the decode worker must compute it all."""
        if self.mode == "mooncake":
            if self._minted is None:
                return {}
            port = self._prefill.spec.bootstrap_port or DEFAULT_BOOTSTRAP_PORT
            params: object = {
                "do_remote_decode": False,
                "do_remote_prefill": True,
                "transfer_id": self._minted,
                "remote_engine_id": self._engine_id,
                "remote_bootstrap_addr": f"http://{self._prefill.pool.origin.host}:{port}",
            }
            return {"kv_transfer_params": params}
        returned = _member(prefill_answer, "kv_transfer_params")
        return {} if returned is None else {"kv_transfer_params": returned}


def _engine_id(prefill: Worker) -> str | None:
    """The engine that holds the cache; unknown where it may be any of several ranks."""
    base = prefill.spec.kv_engine_id
    if not base:
        return None
    size = prefill.labels.get("dp_size", "1")
    if prefill.dp_rank is not None:
        return f"{base}_dp{prefill.dp_rank}"
    return base if size == "1" else None


def _member(body: bytes, name: str) -> msgspec.Raw | None:
    try:
        value = _decode_object(body).get(name)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if value is None or bytes(value) == b"null" else value


# --- log-probabilities of the prompt, which the prefill leg knows -----------------------------


def merge_logprobs(prefill_answer: bytes, decode_answer: bytes) -> bytes:
    """The decode leg's answer with the prefill leg's `input_token_logprobs` in front of its own.

    Answers of another shape stay as they are.
    """
    try:
        known = msgspec.json.decode(prefill_answer)
        answer = msgspec.json.decode(decode_answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode_answer
    if isinstance(known, list) and isinstance(answer, list):
        merged = [_merged(one, other) for one, other in zip(known, answer, strict=False)]
        return _encode(answer) if any(merged) else decode_answer
    return _encode(answer) if _merged(known, answer) else decode_answer


def _merged(known: object, answer: object) -> bool:
    """Put what `known` has in front of what `answer` has, in place."""
    first, meta = _meta(known), _meta(answer)
    if first is None or meta is None:
        return False
    before, after = first.get("input_token_logprobs"), meta.get("input_token_logprobs")
    if not isinstance(before, list) or not isinstance(after, list):
        return False
    meta["input_token_logprobs"] = before + after
    return True


def _meta(answer: object) -> dict[str, Any] | None:
    meta = answer.get("meta_info") if isinstance(answer, dict) else None
    return meta if isinstance(meta, dict) else None


class LogprobStream:
    """Merges the prefill leg's log-probabilities into each event of a decode stream."""

    def __init__(self, known: bytes) -> None:
        if known.startswith(b"data:"):
            # A streamed prefill answer: its first event with log-probabilities has them all.
            events = (line[5:] for line in known.split(b"\n") if line.startswith(b"data:"))
            known = next((event for event in events if _LOGPROBS in event), b"null")
        try:
            self._known: object = msgspec.json.decode(known)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._known = None
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Stream bytes in, stream bytes out; a line that has not ended waits."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(self._line(line) + b"\n" for line in lines)

    def finish(self) -> bytes:
        """What is left of a stream that does not end with a line."""
        rest, self._rest = self._rest, b""
        return rest

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(b"data:") or _LOGPROBS not in line:
            return line
        try:
            event = msgspec.json.decode(line[5:])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return line
        return b"data: " + _encode(event) if _merged(self._known, event) else line


def compatible(prefill: Worker, decodes: Sequence[Worker]) -> list[Worker]:
    """Decode workers that can take over from `prefill`: same engine, same way of transfer."""
    return [
        worker for worker in decodes if _protocol(worker, prefill) == _protocol(prefill, worker)
    ]


def _protocol(worker: Worker, partner: Worker) -> tuple[str, str]:
    """What must agree; what is unknown of one of both agrees with anything."""
    runtime, connector = worker.runtime, worker.spec.kv_connector or ""
    if "unspecified" in (runtime, partner.runtime):
        runtime = "unspecified"
    if not connector or not partner.spec.kv_connector:
        connector = ""
    return runtime, connector
