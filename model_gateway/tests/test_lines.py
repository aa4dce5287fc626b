"""Lines look as structlog's own renderers make them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.observability.lines import JsonLines, TextLines, Timestamps

VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["a b", "x=y", 'say "it"', "line\nbreak", "plain"]),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.lists(st.integers(), max_size=3),
)
RECORDS = st.fixed_dictionaries(
    {
        "timestamp": st.just("2026-11-24T00:00:00.000001Z"),
        "level": st.sampled_from(["debug", "info", "warning", "error", "critical"]),
        "event": st.text(max_size=40),
    },
    optional=dict.fromkeys(("method", "path", "duration_ms", "exception", "stack"), VALUES),
)


def usable(record: dict[str, Any]) -> dict[str, Any]:
    """What a gateway logs: tracebacks are text."""
    return {
        key: str(value) if key in {"exception", "stack"} else value for key, value in record.items()
    }


@given(RECORDS)
def test_text_is_what_the_console_renderer_writes(record: dict[str, Any]) -> None:
    record = usable(record)
    expected = structlog.dev.ConsoleRenderer(colors=False)(None, "info", dict(record))
    assert TextLines()(None, "info", dict(record)) == expected


@given(RECORDS)
def test_json_says_what_the_record_says(record: dict[str, Any]) -> None:
    assert json.loads(JsonLines()(None, "info", dict(record))) == record


def test_what_json_has_no_word_for_is_described() -> None:
    line = JsonLines()(None, "info", {"event": "odd", "value": {1, 2}, "bad": "\ud800"})
    assert json.loads(line)["event"] == "odd"
    assert json.loads(JsonLines()(None, "info", {"value": object}))["value"] == repr(object)


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999))
def test_times_are_utc_to_the_microsecond(second: int, microsecond: int) -> None:
    stamps = Timestamps(lambda: second + (microsecond + 0.5) / 1e6)
    shown = stamps(None, "info", {})["timestamp"]
    assert len(shown) == len("2026-11-24T00:00:00.000000Z")
    told = datetime.fromisoformat(shown)
    exact = datetime.fromtimestamp(second, UTC)
    assert abs((told - exact).total_seconds() - microsecond / 1e6) < 2e-6
