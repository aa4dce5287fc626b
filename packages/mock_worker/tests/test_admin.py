from typing import Any

import aiohttp
import pytest
from smg_mock_worker.faults import AnswerStatus, Hang, ResetConnection
from smg_mock_worker.server import MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


async def ask(
    session: aiohttp.ClientSession, method: str, url: str, body: object = None
) -> tuple[int, Any]:
    async with session.request(method, url, json=body) as answer:
        return answer.status, await answer.json()


async def test_faults_are_put_in_force_listed_and_lifted(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        url = f"{worker.url}/_mock/faults"
        one = {"kind": "status", "code": 503, "headers": {"Retry-After": "1"}}
        await ask(session, "POST", url, one)
        status, listed = await ask(session, "POST", url, [{"kind": "hang"}, {"kind": "reset"}])

        assert status == 200
        assert [fault["kind"] for fault in listed] == ["status", "hang", "reset"]
        assert list(worker.faults) == [
            AnswerStatus(code=503, headers={"Retry-After": "1"}),
            Hang(),
            ResetConnection(),
        ]
        assert await ask(session, "GET", url) == (200, listed)
        assert await ask(session, "DELETE", url) == (200, [])
        assert len(worker.faults) == 0


async def test_a_fault_in_force_hits_the_next_request(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        rule = {"kind": "status", "code": 500, "path": "/health", "count": 1}
        await ask(session, "POST", f"{worker.url}/_mock/faults", rule)
        statuses = [(await session.get(f"{worker.url}/health")).status for _ in range(2)]

    assert statuses == [500, 200]


@pytest.mark.parametrize("rule", [{"kind": "nonsense"}, {"kind": "hang", "count": 0}, 7])
async def test_rules_that_make_no_sense_are_refused(
    session: aiohttp.ClientSession, rule: object
) -> None:
    async with MockWorker() as worker:
        status, body = await ask(session, "POST", f"{worker.url}/_mock/faults", rule)

        assert (status, list(body)) == (400, ["error"])
        assert len(worker.faults) == 0


async def test_requests_are_listed_by_path_and_forgotten(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        for path in ("/health", CHAT, "/health"):
            await session.get(worker.url + path)
        url = f"{worker.url}/_mock/requests"

        _, everything = await ask(session, "GET", url)
        assert [request["path"] for request in everything] == ["/health", CHAT, "/health"]
        _, some = await ask(session, "GET", f"{url}?path=/health")
        assert [request["status"] for request in some] == [200, 200]
        assert await ask(session, "DELETE", url) == (200, [])


async def test_the_load_is_shown_overridden_and_restored(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        url = f"{worker.url}/_mock/load"
        _, overridden = await ask(session, "POST", url, {"waiting_requests": 9})
        assert overridden[0]["waiting_requests"] == 9
        _, restored = await ask(session, "DELETE", url)
        assert restored[0]["waiting_requests"] == 0
        assert await ask(session, "GET", url) == (200, restored)
        assert (await ask(session, "POST", url, {"waiting": 9}))[0] == 400


async def test_there_are_no_other_control_routes(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        status, body = await ask(session, "GET", f"{worker.url}/_mock/nowhere")

    assert (status, body["error"]["message"]) == (404, "no such control route: GET /_mock/nowhere")
