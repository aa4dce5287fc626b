"""`smg config`: what users see of their settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from smg_gateway.cli import main


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A settings file."""
    path = tmp_path / "smg.yaml"
    path.write_text("port: 8080\napi-key: sk-hush\nqueue-size: 5\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("named", [[], ["--config"]])
def test_check_accepts_what_the_gateway_would_start_with(
    named: list[str], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", *named, file, "--policy", "random"]) == 0

    assert capsys.readouterr().out == "ok: 3 from file, 2 from command line\n"


def test_check_warns_of_what_has_no_effect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "smg.toml"
    path.write_text("jemalloc-prof-dir = '/tmp'\n")

    assert main(["config", "check", str(path)]) == 0

    assert capsys.readouterr().out.splitlines()[0] == (
        "warning: --jemalloc-prof-dir has no effect in this version"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--port", "0"], "Invalid value for field 'port': 0 - Port must be > 0"),
        (["--config", "none.toml"], "none.toml: cannot be read: No such file or directory"),
        (["--enable-mesh", "--mesh-host", "127.0.0.1"], "Incompatible configuration: "),
    ],
)
def test_check_refuses_what_the_gateway_would_refuse(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", *words]) == 1

    assert capsys.readouterr().err.startswith(f"ValueError: Configuration error: {line}")


def test_show_names_every_value_and_its_origin_but_no_secret(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "show", file, "--port", "9"]) == 0

    text = capsys.readouterr().out
    assert "port: 9  # command line --port\n" in text
    assert f"queue-size: 5  # file {file}:3\n" in text
    assert f'api-key: "***"  # file {file}:2\n' in text
    assert "retry-max-retries: 5  # default\n" in text
    assert "hush" not in text


def test_show_as_json_is_for_programs(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json", file]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["port"] == {"value": 8080, "source": "file", "detail": f"{file}:1"}
    assert shown["api_key"]["value"] == "***"
    assert shown["host"] == {"value": "0.0.0.0", "source": "default", "detail": ""}


def test_show_tells_what_would_be_refused_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--port", "0"]) == 0
    assert "port: 0  # command line --port\n" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code"), [([], 1), (["zz"], 1), (["--help"], 0)])
def test_without_a_known_word_the_usage_is_shown(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", *words]) == code
    assert capsys.readouterr().out.startswith("usage: smg config check")
