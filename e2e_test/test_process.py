"""`smg launch` as a process: how it ends, and how it refuses to begin."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from itertools import takewhile

import aiohttp
import pytest
from openai import AsyncOpenAI
from smg_mock_worker import MockWorker

from e2e_test.conftest import StartGateway
from e2e_test.processes import (
    HOST,
    GatewayProcess,
    get,
    plain_environment,
    reserved_port,
    running_engines,
    smg,
    spawn,
)

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"
BOTH_SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"]
)


def chat(**fields: object) -> dict[str, object]:
    """A streaming chat request."""
    messages = [{"role": "user", "content": "Count the ships."}]
    return {"model": "mock-model", "stream": True, "messages": messages, **fields}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The `smg` command, run to its end."""
    return subprocess.run(
        smg(*words),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=plain_environment(),
    )


# --- the end -------------------------------------------------------------------------------


@BOTH_SIGNALS
async def test_a_signal_lets_the_stream_in_flight_finish_and_turns_newcomers_away(
    launch: StartGateway, number: signal.Signals
) -> None:
    async with (
        running_engines(1, "--inter-token-latency-ms", "10") as [engine],
        launch([engine.url], "--shutdown-grace-period-secs", "4") as gateway,
        aiohttp.ClientSession() as client,
        client.post(gateway.url + CHAT, json=chat(max_tokens=60)) as stream,
    ):
        beginning = await stream.content.readany()
        engine.signal(signal.SIGSTOP)  # The stream cannot end before the gateway refuses.

        gateway.signal(number)
        await gateway.until_refusing()
        engine.signal(signal.SIGCONT)
        rest = await stream.content.read()

        assert beginning.startswith(b"data: ")
        assert rest.endswith(DONE)
        assert await gateway.exit_code() == 0


async def test_a_draining_gateway_says_so_and_still_serves_during_the_notice(
    gateway: GatewayProcess,
) -> None:
    gateway.signal(signal.SIGTERM)
    status, body = await until_draining(gateway)

    async with aiohttp.ClientSession() as client:
        async with client.post(gateway.url + CHAT, json=chat(max_tokens=3)) as late:
            assert (await late.read()).endswith(DONE)

    assert (status, json.loads(body)) == (503, {"status": "not ready", "reason": "draining"})


async def until_draining(gateway: GatewayProcess) -> tuple[int, str]:
    """The first readiness answer after the signal has been seen."""
    while True:
        status, body = await gateway.readiness()
        if status != 200:
            return status, body


async def test_requests_that_outlast_the_grace_period_are_cut_off_visibly(
    launch: StartGateway, engine: MockWorker
) -> None:
    async with (
        launch([engine.url], "--shutdown-grace-period-secs", "1") as gateway,
        aiohttp.ClientSession() as client,
        client.post(gateway.url + CHAT, json=chat(max_tokens=10_000)) as stream,
    ):
        await stream.content.readany()
        gateway.signal(signal.SIGTERM)

        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.content.read()
        assert await gateway.exit_code() == 0
        assert "requests cut off" in gateway.log()
        await engine.requests.wait_for(lambda request: request.outcome == "disconnected")


async def test_a_second_signal_does_not_wait_for_requests(
    launch: StartGateway, engine: MockWorker
) -> None:
    async with (
        launch([engine.url], "--shutdown-grace-period-secs", "3600") as gateway,
        aiohttp.ClientSession() as client,
        client.post(gateway.url + CHAT, json=chat(max_tokens=10_000)) as stream,
    ):
        await stream.content.readany()
        gateway.signal(signal.SIGTERM)
        await until_draining(gateway)
        gateway.signal(signal.SIGTERM)

        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.content.read()
        assert await gateway.exit_code() == 0


async def test_signals_that_keep_coming_do_not_change_how_it_ends(
    launch: StartGateway, engine: MockWorker
) -> None:
    """An impatient user or supervisor may hit any moment of the way out."""
    async with launch([engine.url]) as gateway:
        while gateway.running:
            gateway.signal(signal.SIGINT)
            gateway.signal(signal.SIGTERM)

        assert await gateway.exit_code() == 0
        assert "KeyboardInterrupt" not in gateway.log()


async def test_the_probe_listener_tells_of_readiness_on_a_port_of_its_own(
    launch: StartGateway, engine: MockWorker
) -> None:
    with reserved_port() as port:
        async with launch([engine.url], "--health-check-port", str(port)) as gateway:
            url = f"http://{HOST}:{port}"
            assert await get(url + "/liveness") == (200, "OK")
            assert await get(url + "/readiness") == await gateway.readiness()
            assert (await get(url + "/v1/models"))[0] == 404

            gateway.signal(signal.SIGTERM)
            await until_draining(gateway)
            assert (await get(url + "/readiness"))[0] == 503


# --- the beginning -------------------------------------------------------------------------


def listening_on(port: int, metrics_port: int) -> list[str]:
    """Flags for both listeners."""
    ports = ["--port", str(port), "--prometheus-port", str(metrics_port)]
    return ["--host", HOST, "--prometheus-host", HOST, *ports, "--policy", "round_robin"]


def test_a_taken_port_is_named_and_the_exit_code_is_one() -> None:
    with socket.create_server((HOST, 0)) as taken, reserved_port() as metrics_port:
        port = taken.getsockname()[1]
        ended = run("launch", *listening_on(port, metrics_port))

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"RuntimeError: failed to bind server on {HOST}:{port}: "
        "Address already in use (os error 98)"
    )


def test_a_taken_metrics_port_is_named_too() -> None:
    with socket.create_server((HOST, 0)) as taken, reserved_port() as port:
        metrics_port = taken.getsockname()[1]
        ended = run("launch", *listening_on(port, metrics_port))

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"RuntimeError: failed to bind metrics server on {HOST}:{metrics_port}: "
        "Address already in use (os error 98)"
    )


def test_an_unknown_flag_is_refused_with_exit_code_two() -> None:
    ended = run("launch", "--worker-uls", "http://127.0.0.1:1")

    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: ")
    assert "smg: error: unrecognized arguments: --worker-uls" in ended.stderr


def test_a_value_out_of_range_is_refused_with_exit_code_one() -> None:
    ended = run("launch", "--retry-max-retries", "0")

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("ValueError: Configuration error: ")


def test_quickstart_shows_a_completion_and_leaves() -> None:
    ended = run("quickstart", "--once", "--port", "0")

    assert ended.returncode == 0
    assert ended.stderr == ""
    assert len(ended.stdout.split()) > 20


async def test_quickstart_serves_until_it_is_interrupted_and_takes_its_engines_along() -> None:
    demonstration = spawn(smg("quickstart", "--port", "0"), subprocess.PIPE)
    assert demonstration.stdout is not None
    with demonstration.stdout as output:
        try:
            lines = takewhile(lambda line: not line.startswith(b"Press Ctrl-C"), output)
            [base] = re.findall(r'base_url="(\S+)"', b"".join(lines).decode())
            async with AsyncOpenAI(base_url=base, api_key="none") as client:
                [model] = [model.id async for model in client.models.list()]
                answer = await client.chat.completions.with_raw_response.create(
                    model=model, messages=[{"role": "user", "content": "Hi"}], max_tokens=2
                )
            demonstration.send_signal(signal.SIGINT)
            rest = output.read()
        finally:
            demonstration.kill()
            demonstration.wait()

    assert rest.endswith(b"stopped\n")
    assert demonstration.returncode == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(answer.headers["x-smg-routed-worker-id"] + "/health")
