"""Every rule, its message, and the order of the rules."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.settings import ConfigError, Settings, parse_launch, validate

DATA = Path(__file__).parent / "data"
# A refused command line has the whole line, or where its end explains and is ours, the beginning.
REFUSALS: list[dict[str, str]] = json.loads((DATA / "refusals.json").read_text(encoding="utf-8"))
ACCEPTED: list[str] = json.loads((DATA / "accepted.json").read_text(encoding="utf-8"))


def refusal(words: str) -> str:
    """The line with which a command line is refused, after its parsing went well."""
    settings = parse_launch(shlex.split(words), {})
    with pytest.raises(ConfigError) as caught:
        validate(settings)
    return caught.value.line


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: str(row["words"]))
def test_what_upstream_refuses_is_refused_in_its_words(row: dict[str, str]) -> None:
    line = refusal(row["words"])

    if "line" in row:
        assert line == row["line"]
    else:
        assert line.startswith(row["beginning"])


@pytest.mark.parametrize("words", ACCEPTED)
def test_what_upstream_starts_with_is_valid(words: str) -> None:
    validate(parse_launch(shlex.split(words), {}))


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000/",
        "HTTP://a",
        "http://A.example",
        "http://a:80",
        "https://a:443",
        "http://u@a",
        "http://a?q",
        "a.example",
        "http://a:99999",
        "null",
    ],
)
def test_an_origin_no_browser_would_send_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"not exactly an origin \(lower-case scheme://host"):
        validate(Settings(cors_allowed_origins=(origin,)))


@pytest.mark.parametrize("origin", ["http://a.example:3000", "https://a", "http://[::1]:81", "*"])
def test_an_exact_origin_is_accepted(origin: str) -> None:
    validate(Settings(cors_allowed_origins=(origin,)))


# Two mistakes in one command line, and the field that is complained about.
ORDER = [
    ("--tls-cert-path c --worker-urls x", "--tls-cert-path"),
    ("--worker-urls x --cache-threshold 7", "worker_url"),
    ("--cache-threshold 7 --port 0", "cache_threshold"),
    ("--port 0 --storage-context-headers =k", "'port'"),
    ("--storage-context-headers =k --tenant-header-name ''", "storage_context_headers"),
    ("--tenant-header-name '' --tenant-api-key :k", "tenant_header_name"),
    ("--tenant-api-key :k --service-discovery", "tenant_api_keys"),
    ("--service-discovery --prometheus-port 0", "service discovery"),
    ("--prometheus-port 0 --enable-trace --otlp-traces-endpoint x", "metrics.port"),
    ("--enable-trace --otlp-traces-endpoint x --policy power_of_two", "trace_config"),
    ("--policy power_of_two --retry-max-retries 0", "Power-of-two"),
    ("--retry-max-retries 0 --cb-success-threshold 0", "retry.max_retries"),
    ("--cb-success-threshold 0 --history-memory-max-items 0", "circuit_breaker"),
    ("--history-memory-max-items 0 --model-path /gone", "memory history"),
]


@pytest.mark.parametrize(("words", "first"), ORDER)
def test_the_first_mistake_in_upstreams_order_is_the_one_reported(words: str, first: str) -> None:
    assert first in refusal(words)


def test_settings_made_without_the_command_line_are_held_to_its_choices_and_widths() -> None:
    with pytest.raises(ConfigError, match="'log_level': loud - expected one of debug, info"):
        validate(Settings(log_level="loud"))
    with pytest.raises(ConfigError, match="while processing 'port'"):
        validate(Settings(port=70000))


@given(st.integers(1, 65535), st.integers(1, 65535), st.none() | st.integers(1, 65535))
def test_ports_are_accepted_exactly_when_they_are_distinct(
    port: int, metrics: int, health: int | None
) -> None:
    settings = Settings(port=port, prometheus_port=metrics, health_check_port=health)
    given_ports = [one for one in (port, metrics, health) if one is not None]

    if len(set(given_ports)) == len(given_ports):
        validate(settings)
    else:
        with pytest.raises(ConfigError, match="each listener needs its own port"):
            validate(settings)


@given(st.lists(st.integers(1, 9), max_size=5).map(tuple))
def test_boundaries_are_accepted_exactly_when_they_ascend(boundaries: tuple[int, ...]) -> None:
    settings = Settings(cache_boundaries=boundaries)

    if list(boundaries) == sorted(set(boundaries)):
        validate(settings)
    else:
        with pytest.raises(ConfigError, match="strictly ascending"):
            validate(settings)
