from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from smg_simulator import main
from smg_simulator.cli import read_settings


def test_a_trace_alone_is_replayed_under_cache_aware(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(data / "conversations.jsonl")]) == 0
    head, row = capsys.readouterr().out.splitlines()

    assert head.startswith("policy")
    assert row.startswith("cache_aware ")


def test_repeated_flags_make_a_grid(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--policy", "cache_aware", "--policy", "random", "--workers", "2", "--workers", "3"]
    more = ["--seed", "1", "--set", "cache_threshold=0.2", "--set", "cache-threshold=0.6"]

    assert main([str(data / "recording.jsonl"), *flags, *more]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == 8
    assert rows[0].startswith("cache_aware workers=2 cache_threshold=0.2 ")


def test_figures_and_plots_go_into_files(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, plots = tmp_path / "out.json", tmp_path / "out.html"
    flags = ["--json", str(figures), "--html", str(plots), "--quiet"]

    assert main([str(data / "azure.csv"), "--limit", "5", *flags]) == 0
    (result,) = msgspec.json.decode(figures.read_bytes())["results"]
    assert (result["label"], result["completed"]) == ("cache_aware", 5)
    assert plots.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out == ""


def test_flags_shape_the_fleet(data: Path, tmp_path: Path) -> None:
    figures = tmp_path / "out.json"
    flags = [
        *("--workers", "3", "--prefill-tokens-per-s", "1000", "--inter-token-latency-ms", "10"),
        *("--max-running-requests", "9", "--max-waiting-requests", "7", "--speed", "1=0.5"),
        *("--cache-blocks", "100", "--down", "0:1-2.5", "--leave", "2:3-"),
        *("--report-interval-s", "5", "--no-token-ids", "--characters-per-token", "2"),
        *("--session-block", "1", "--rate", "2", "--quiet", "--json", str(figures)),
    ]

    assert main([str(data / "conversations.jsonl"), *flags]) == 0
    (result,) = msgspec.json.decode(figures.read_bytes())["results"]
    scenario = result["scenario"]
    plain, slow = scenario["timing"][0], scenario["timing"][1]
    assert (plain["prefill_tokens_per_s"], slow["prefill_tokens_per_s"]) == (1000, 500)
    assert (plain["inter_token_latency_s"], slow["inter_token_latency_s"]) == (0.01, 0.02)
    assert (plain["max_running_requests"], plain["max_waiting_requests"]) == (9, 7)
    assert scenario["outages"] == [
        {"worker": 0, "start_s": 1.0, "end_s": 2.5, "leaves": False},
        {"worker": 2, "start_s": 3.0, "end_s": None, "leaves": True},
    ]
    assert (scenario["cache_blocks"], scenario["report_interval_s"]) == (100, 5.0)
    assert (scenario["token_ids"], scenario["characters_per_token"]) == (False, 2.0)
    assert scenario["session_block"] == 1
    assert result["trace"]["span_s"] < 30


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--policy", "by_colour"], "unknown policy 'by_colour'"),
        (["--policy", "no.such.module:thing"], "no.such.module"),
        (["--workers", "0"], "a worker"),
        (["--set", "colour=red"], "no policy has such a setting"),
        (["--set", "cache_threshold"], "no policy has such a setting"),
        (["--set", "cache_threshold=much"], "--set cache_threshold=much: "),
        (["--down", "0:5"], "not WORKER:FROM-TO"),
        (["--down", "0:5-1"], "not an outage"),
        (["--down", "9:1-2"], "there is no worker 9"),
        (["--speed", "1:2"], "not WORKER=FACTOR"),
        (["--speed", "1=0"], "not WORKER=FACTOR"),
        (["--speed", "8=2"], "there is no worker 8"),
        (["--rate", "0"], "rate factor"),
        (["--inter-token-latency-ms", "-1"], "must not be negative"),
    ],
)
def test_a_wrong_command_line_is_status_2(
    data: Path, flags: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(data / "azure.csv"), *flags]) == 2
    assert problem in capsys.readouterr().err


def test_an_unknown_flag_is_status_2(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([str(data / "azure.csv"), "--colour", "red"])
    assert exited.value.code == 2
    assert "--colour" in capsys.readouterr().err


def test_a_bad_trace_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"t": 1, "input_tokens": 1, "block_size": 1}\nnonsense\n')

    assert main([str(path)]) == 1
    assert "bad, line 2:" in capsys.readouterr().err
    assert main([str(tmp_path / "missing.jsonl")]) == 1
    assert "missing.jsonl" in capsys.readouterr().err


def test_messages_name_the_command_that_was_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "missing.jsonl")], program="smg simulate") == 1
    assert capsys.readouterr().err.startswith("smg simulate: ")


def test_a_file_that_cannot_be_written_is_status_1(data: Path, tmp_path: Path) -> None:
    assert main([str(data / "azure.csv"), "--quiet", "--json", str(tmp_path)]) == 1


def test_the_format_may_be_insisted_on(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(data / "azure.csv"), "--format", "gateway"]) == 1
    assert "line 1" in capsys.readouterr().err


def test_settings_take_the_type_of_their_field() -> None:
    assert read_settings(["block_size=32", "cache_boundaries=4,8", "cache_index=hash"]) == {
        "block_size": [32],
        "cache_boundaries": [(4, 8)],
        "cache_index": ["hash"],
    }
