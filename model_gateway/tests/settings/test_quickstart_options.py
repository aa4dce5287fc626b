"""The words after `smg quickstart`."""

from __future__ import annotations

import pytest
from smg_gateway.settings import (
    AVAILABLE_POLICIES,
    ConfigError,
    QuickstartOptions,
    parse_quickstart,
)


def test_no_words_give_the_defaults() -> None:
    assert parse_quickstart([]) == QuickstartOptions(
        once=False, model="demo-model", policy="cache_aware", port=30000
    )


def test_every_option_can_be_given() -> None:
    words = ["--once", "--model", "m", "--policy", "random", "--port", "0"]

    assert parse_quickstart(words) == QuickstartOptions(
        once=True, model="m", policy="random", port=0
    )


@pytest.mark.parametrize("policy", AVAILABLE_POLICIES)
def test_every_available_policy_can_be_tried(policy: str) -> None:
    assert parse_quickstart(["--policy", policy]).policy == policy


def test_a_policy_that_is_not_there_is_no_choice(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_quickstart(["--policy", "bucket"])

    assert end.value.code == 2
    assert "smg: error: argument --policy: invalid choice: 'bucket'" in capsys.readouterr().err


def test_a_port_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="while processing 'port'"):
        parse_quickstart(["--port", "70000"])
