"""An LLM engine simulator over HTTP: timing model, prefix cache, fault injection.

`MockWorker` is the server; what it answers, `faults` may spoil, and what it was asked, `requests`
remembers. `Engine` is the model behind it, free of I/O, for simulations on a clock of their own.
"""

from smg_mock_worker.engine import (
    Engine,
    EngineEvent,
    EngineLoad,
    EngineRequest,
    EngineTiming,
    Finished,
    QueueFull,
    RequestState,
    TokenProduced,
)
from smg_mock_worker.errors import Flavour
from smg_mock_worker.faults import (
    AddLatency,
    AnswerGarbage,
    AnswerStatus,
    CloseMidStream,
    Fault,
    Faults,
    FlapHealth,
    Hang,
    OverstateLength,
    ResetConnection,
    ResetMidStream,
    StallMidStream,
    UnderstateLength,
)
from smg_mock_worker.information import LoadOverride
from smg_mock_worker.prefix_cache import PrefixCache
from smg_mock_worker.records import Outcome, RecordedRequest, RequestLog
from smg_mock_worker.server import MockWorker

__all__ = (
    "AddLatency",
    "AnswerGarbage",
    "AnswerStatus",
    "CloseMidStream",
    "Engine",
    "EngineEvent",
    "EngineLoad",
    "EngineRequest",
    "EngineTiming",
    "Fault",
    "Faults",
    "Finished",
    "FlapHealth",
    "Flavour",
    "Hang",
    "LoadOverride",
    "MockWorker",
    "Outcome",
    "OverstateLength",
    "PrefixCache",
    "QueueFull",
    "RecordedRequest",
    "RequestLog",
    "RequestState",
    "ResetConnection",
    "ResetMidStream",
    "StallMidStream",
    "TokenProduced",
    "UnderstateLength",
)
