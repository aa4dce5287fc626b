"""TLS on both sides, with a throw-away certificate authority."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from smg_gateway.app import Gateway
from smg_gateway.edge import EdgeLimits, Listener
from smg_gateway.settings import Settings
from smg_gateway.wiring import server_tls

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


@pytest.fixture
def authority() -> trustme.CA:
    """Signs everything in a test."""
    return trustme.CA()


def pem(path: Path, *blobs: trustme.Blob) -> str:
    path.write_bytes(b"".join(blob.bytes() for blob in blobs))
    return str(path)


@asynccontextmanager
async def secure_worker(authority: trustme.CA, *, wants_client: bool) -> AsyncIterator[str]:
    """An `https://` worker that may insist on a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if wants_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": "mock-model"}]})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: {}\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("wants_client", [False, True])
async def test_workers_behind_tls_are_verified_and_shown_the_client_certificate(
    start: Any, http: Any, chat: Any, authority: trustme.CA, tmp_path: Path, wants_client: bool
) -> None:
    settings: dict[str, Any] = {
        "ca_cert_paths": (pem(tmp_path / "ca.pem", authority.cert_pem),),
    }
    if wants_client:
        mine = authority.issue_cert("gateway")
        settings["client_cert_path"] = pem(tmp_path / "cert.pem", *mine.cert_chain_pems)
        settings["client_key_path"] = pem(tmp_path / "key.pem", mine.private_key_pem)

    async with (
        secure_worker(authority, wants_client=wants_client) as url,
        start(url, **settings) as running,
    ):
        async with http.post(running.url + CHAT, json=chat(stream=True)) as answer:
            assert await answer.text() == "data: {}\n\ndata: [DONE]\n\n"


async def test_a_worker_with_an_unknown_certificate_is_not_trusted(
    authority: trustme.CA,
) -> None:
    async with secure_worker(authority, wants_client=False) as url:
        settings = Settings(worker_urls=(url,), policy="random", worker_startup_timeout_secs=0)
        gateway = Gateway(settings)
        async with gateway.lifespan(), asyncio.timeout(5):
            while (job := gateway.fleet.jobs.status(url)) is None or job.is_open:
                await asyncio.sleep(0.005)
            assert not gateway.registry.snapshot.workers
            assert "certificate" in str(job.message).lower()


async def test_clients_can_be_served_over_tls(
    worker: Any, chat: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    mine = authority.issue_cert("127.0.0.1")
    settings = Settings(
        worker_urls=(worker.url,),
        policy="round_robin",
        tls_cert_path=pem(tmp_path / "cert.pem", *mine.cert_chain_pems),
        tls_key_path=pem(tmp_path / "key.pem", mine.private_key_pem),
    )
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    gateway = Gateway(settings)
    async with gateway.lifespan():
        listener = Listener(
            gateway,
            host="127.0.0.1",
            port=0,
            limits=EdgeLimits(),
            clock=time.monotonic,
            tls=server_tls(settings),
        )
        await listener.start()
        base = f"https://127.0.0.1:{listener.port}"
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(connector=connector) as http:
            while (await http.get(base + "/readiness")).status != 200:
                pass
            async with http.post(base + CHAT, json=chat(stream=True)) as answer:
                assert (await answer.text()).endswith("data: [DONE]\n\n")
            async with http.post(base + CHAT, data=b"{") as answer:
                assert answer.status == 400
        await listener.close()
