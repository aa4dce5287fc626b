"""What a load-balancing policy would do to your traffic, before it does.

`simulate` replays a trace of requests through a policy of `smg_policies`, the object that a
gateway would use, in front of modelled inference engines, on a virtual clock: an hour of
traffic takes a second. `sweep` compares policies, settings and fleets.
"""

from smg_simulator.cli import main
from smg_simulator.comparison import Comparison, sweep
from smg_simulator.formats import TraceFormat, parse_trace, read_trace
from smg_simulator.measures import Percentiles, Series
from smg_simulator.record import Outcome, Record
from smg_simulator.result import Result, TraceFacts, WorkerTotals
from smg_simulator.scenario import DEFAULT_TIMING, Outage, Scenario, scenarios
from smg_simulator.simulation import simulate
from smg_simulator.trace import Trace, TraceBuilder, TraceInvalid, TraceRequest

__all__ = (
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
