"""Prompts computed on one worker and continued on another: both engines' ways of handing over.

SGLang: request and worker meet by `bootstrap_host`, `bootstrap_port` and `bootstrap_room`, which
both legs carry; the port is the prefill worker's own here. vLLM: the prefill answer's
`kv_transfer_params` tell the decode worker what to fetch from where. What is fetched is the
prompt's token ids, which stand for its KV cache.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
import msgspec

from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Choice, encode_json

__all__ = (
    "HANDOVER_PATH",
    "MAX_KEPT",
    "Handovers",
    "Meeting",
    "Role",
    "first_token_only",
    "read_meeting",
    "told",
)

HANDOVER_PATH = "/_mock/handover"
MAX_KEPT = 1024
DEFAULT_WAIT_S = 10.0

Role = Literal["prefill", "decode"]


class _Body(msgspec.Struct):
    bootstrap_host: str | list[str] | None = None
    bootstrap_port: int | list[int | None] | None = None
    bootstrap_room: int | list[int] | None = None
    kv_transfer_params: dict[str, Any] | None = None


class Meeting(msgspec.Struct, frozen=True):
    """Where prompts change hands: names at the prefill worker whose address is `origin`.

    `is_told` says that the prefill worker's answer has to tell the name.
    """

    origin: str
    keys: tuple[str, ...]
    is_told: bool = False


def read_meeting(body: bytes, own_origin: str) -> Meeting | None:
    """What a request says of its handover; None when nothing.

    Raises `RequestRefused` (400) for what makes no sense.
    """
    try:
        request = msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError as error:
        raise RequestRefused(400, f"Bad handover parameters: {error}") from None
    if request.bootstrap_room is not None:
        hosts, ports = _each(request.bootstrap_host), _each(request.bootstrap_port)
        rooms = _each(request.bootstrap_room)
        if not hosts or len({len(hosts), len(ports), len(rooms)}) != 1:
            raise RequestRefused(400, "bootstrap_host, _port and _room must be equally many.")
        return Meeting(f"http://{hosts[0]}:{ports[0]}", tuple(f"room-{room}" for room in rooms))
    params = request.kv_transfer_params
    if not params:
        return None
    if params.get("do_remote_decode"):
        name = params.get("transfer_id") or uuid.uuid4().hex
        return Meeting(own_origin, (str(name),), is_told="transfer_id" not in params)
    if params.get("do_remote_prefill"):
        address = params.get("remote_bootstrap_addr")
        if address is None:
            address = f"http://{params.get('remote_host')}:{params.get('remote_port')}"
        name = params.get("transfer_id") or params.get("remote_request_id")
        return Meeting(str(address), (str(name),))
    return None


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def first_token_only(choices: Sequence[Choice]) -> list[Choice]:
    """The same prompts, each answered with one token: a prefill worker says no more."""
    return [
        replace(
            choice,
            answer=replace(
                choice.answer,
                tokens=choice.answer.tokens[:1],
                ids=choice.answer.ids[:1],
                finish_reason="length",
                matched_stop=None,
            ),
        )
        for choice in choices
    ]


class Handovers:
    """Prompts of a prefill worker that wait for the decode worker; at most `MAX_KEPT`."""

    def __init__(self, wait_s: float = DEFAULT_WAIT_S) -> None:
        self.wait_s = wait_s
        self._prompts: dict[str, Sequence[int]] = {}
        self._arrivals: dict[str, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._prompts)

    def offer(self, meeting: Meeting, choices: Sequence[Choice]) -> None:
        """Computed prompts are there to be fetched, one per name; the last name has the rest."""
        for key, choice in zip(meeting.keys, choices, strict=False):
            self._prompts[key] = choice.prompt
            arrival = self._arrivals.pop(key, None)
            if arrival is not None:
                arrival.set()
        while len(self._prompts) > MAX_KEPT:
            del self._prompts[next(iter(self._prompts))]

    async def take(self, key: str) -> Sequence[int] | None:
        """A prompt, waited for; None when it does not come. It can be taken once."""
        if key not in self._prompts:
            arrival = self._arrivals.setdefault(key, asyncio.Event())
            try:
                async with asyncio.timeout(self.wait_s):
                    await arrival.wait()
            except TimeoutError:
                self._arrivals.pop(key, None)
                return None
        return self._prompts.pop(key, None)

    async def fetch(self, meeting: Meeting) -> list[Sequence[int]]:
        """All prompts of a meeting, from the prefill worker; raises `RequestRefused` (500)."""
        prompts: list[Sequence[int]] = []
        timeout = aiohttp.ClientTimeout(total=self.wait_s * 2)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                for key in meeting.keys:
                    url = meeting.origin + HANDOVER_PATH
                    async with session.get(url, params={"key": key}) as answer:
                        if answer.status != 200:
                            raise RequestRefused(500, f"KV transfer failed: no cache named {key}.")
                        prompts.append(msgspec.json.decode(await answer.read(), type=list[int]))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise RequestRefused(500, f"KV transfer failed: {error or 'timeout'}.") from None
        return prompts


def told(body: bytes, meeting: Meeting, engine_id: str) -> bytes:
    """A prefill answer with what the decode worker needs to know."""
    place = urlsplit(meeting.origin)
    params = {
        "do_remote_prefill": True,
        "do_remote_decode": False,
        "remote_engine_id": engine_id,
        "remote_block_ids": [[0]],
        "remote_request_id": meeting.keys[0],
        "remote_host": place.hostname,
        "remote_port": place.port,
    }
    return body.rstrip()[:-1] + b',"kv_transfer_params":%b}' % encode_json(params)
