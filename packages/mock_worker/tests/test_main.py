import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from smg_mock_worker.__main__ import main, parse_arguments


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A worker in a process of its own, once it is ready, and its address."""
    command = [sys.executable, "-m", "smg_mock_worker", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("mock worker ready at http://127.0.0.1:")
            yield process, line.rpartition(" ")[2].strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker_cleanly(number: signal.Signals) -> None:
    with running() as (process, _):
        process.send_signal(number)

        assert process.wait(timeout=30) == 0


def test_the_flags_shape_the_worker() -> None:
    with running(
        "--model", "a", "--model", "org/b", "--max-running-requests", "3", "--cache-blocks", "10"
    ) as (_, url):
        with urllib.request.urlopen(f"{url}/v1/models") as answer:
            models = msgspec.json.decode(answer.read())["data"]
        with urllib.request.urlopen(f"{url}/server_info") as answer:
            info = msgspec.json.decode(answer.read())

    assert [model["id"] for model in models] == ["a", "org/b"]
    assert (info["max_running_requests"], info["max_total_num_tokens"]) == (3, 160)


def test_without_flags_the_worker_is_an_sglang_engine_that_takes_no_time() -> None:
    options = parse_arguments([])

    assert (options.host, options.port, options.flavour) == ("127.0.0.1", 0, "sglang")
    assert options.inter_token_latency_ms == options.prefill_tokens_per_s == 0
    assert not options.quiet


def test_a_taken_port_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status = main(["--port", str(taken.getsockname()[1])])

    assert status == 1
    assert "cannot listen" in capsys.readouterr().err


def test_an_impossible_setting_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--inter-token-latency-ms", "-1"]) == 2
    assert "must not be negative" in capsys.readouterr().err


def test_an_unknown_flag_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--no-such-flag"])

    assert exited.value.code == 2
    assert "--no-such-flag" in capsys.readouterr().err
