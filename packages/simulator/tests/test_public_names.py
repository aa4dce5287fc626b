from __future__ import annotations

import smg_simulator


def test_the_door_offers_exactly_these_names() -> None:
    assert smg_simulator.__all__ == (
        "DEFAULT_TIMING",
        "Comparison",
        "Outage",
        "Outcome",
        "Percentiles",
        "Record",
        "Result",
        "Scenario",
        "Series",
        "Trace",
        "TraceBuilder",
        "TraceFacts",
        "TraceFormat",
        "TraceInvalid",
        "TraceRequest",
        "WorkerTotals",
        "main",
        "parse_trace",
        "read_trace",
        "scenarios",
        "simulate",
        "sweep",
    )


def test_every_name_is_there_and_documented() -> None:
    for name in smg_simulator.__all__:
        assert getattr(smg_simulator, name).__doc__, name
