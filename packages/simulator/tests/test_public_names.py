from __future__ import annotations

import subprocess
import sys

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


def test_importing_loads_no_server() -> None:
    check = "import sys, smg_simulator; print({'aiohttp', 'asyncio', 'socket'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_every_name_is_there_and_documented() -> None:
    for name in smg_simulator.__all__:
        assert getattr(smg_simulator, name).__doc__, name
