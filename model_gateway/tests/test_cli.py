"""The `smg` command up to the point where something serves: texts, refusals, exit codes."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version

import pytest
from smg_gateway.cli import main

# Loading these would make every refusal and every help text slow.
HEAVY = ("starlette", "aiohttp", "msgspec", "structlog", "asyncio", "smg_policies", "ssl")
INCOMPATIBLE = "ValueError: Configuration error: Incompatible configuration"


def run_smg(*words: str) -> subprocess.CompletedProcess[str]:
    """The command as users run it, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "smg_gateway", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_that_of_the_distribution(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 0
    assert capsys.readouterr().out == f"smg {version('smg-gateway')}\n"


def test_the_verbose_version_names_interpreter_and_compatibility(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version-verbose"]) == 0

    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"smg {version('smg-gateway')}"
    assert "compatible with SMG 1.13.0" in rest
    assert any(line.startswith("Python 3.") for line in rest)


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_the_commands(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0

    text = capsys.readouterr().out
    assert text.startswith("usage: smg <command>")
    assert "launch" in text
    assert "quickstart" in text


@pytest.mark.parametrize("words", [[], ["start"], ["serve"], ["--port", "1"]])
def test_without_a_known_command_help_is_shown_and_the_exit_code_is_one(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1

    shown = capsys.readouterr()
    assert shown.out.startswith("usage: smg <command>")
    assert shown.err == ""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--port", "0"],
            "ValueError: Configuration error: Invalid value for field 'port': 0 - Port must be > 0",
        ),
        (
            ["--model-alias", "foo"],
            "ValueError: Invalid model alias 'foo'. Expected format: <alias>=<canonical>",
        ),
        (
            ["--tenant-rate-limit-enabled"],
            "RuntimeError: tenant_rate_limit_enabled is set but tenant_rate_limit_config is not",
        ),
        (
            ["--enable-mesh", "--mesh-host", "127.0.0.1"],
            f"{INCOMPATIBLE}: --enable-mesh is not available in this version",
        ),
        (
            ["--enable-mesh", "--mesh-host", "127.0.0.1", "--port", "0"],
            "ValueError: Configuration error: Invalid value for field 'port': 0 - Port must be > 0",
        ),
    ],
)
def test_refused_settings_leave_one_line_and_exit_with_one(
    words: Sequence[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["launch", *words]) == 1

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"{line}\n"


def test_a_process_refuses_with_one_and_without_a_traceback() -> None:
    done = run_smg("launch", "--port", "70000")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("OverflowError: ")
    assert "while processing 'port'" in done.stderr


def test_a_process_that_cannot_parse_its_words_exits_with_two() -> None:
    done = run_smg("launch", "--policy", "zzz")

    assert done.returncode == 2
    assert done.stderr.startswith("usage: smg launch")
    assert "smg: error: argument --policy: invalid choice: 'zzz' (choose from " in done.stderr


@pytest.mark.parametrize("command", ["launch", "quickstart"])
def test_the_help_of_a_command_exits_with_zero(command: str) -> None:
    done = run_smg(command, "-h")

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: smg {command}")


def test_a_bare_process_shows_help_and_exits_with_one() -> None:
    done = run_smg()

    assert done.returncode == 1
    assert done.stdout.startswith("usage: smg <command>")


def test_refusing_settings_loads_nothing_that_serves() -> None:
    program = (
        "import sys; from smg_gateway.cli import main; main(['launch', '--port', '0']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_taken_port_is_reported_in_one_line() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as main_port,
        socket.create_server(("127.0.0.1", 0)) as metrics_port,
    ):
        port, taken = (one.getsockname()[1] for one in (main_port, metrics_port))
        local = ["--host", "127.0.0.1", "--prometheus-host", "127.0.0.1", "--policy", "random"]

        done = run_smg("launch", *local, "--port", str(port), "--prometheus-port", str(taken))

    assert done.returncode == 1
    assert done.stderr == (
        f"RuntimeError: failed to bind metrics server on 127.0.0.1:{taken}: "
        "Address already in use (os error 98)\n"
    )
