"""An LLM engine simulator over HTTP: timing model, prefix cache, fault injection.

`MockWorker` is the server; what it answers, `faults` may spoil, and what it was asked, `requests`
remembers. `Engine` is the model behind it, free of I/O, for simulations on a clock of their own.
The server and the packages it needs are loaded when a name of it is first used.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

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
from smg_mock_worker.prefix_cache import PrefixCache

if TYPE_CHECKING:
    from smg_mock_worker.information import LoadOverride
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

_SERVER_NAMES = MappingProxyType({
    "LoadOverride": "smg_mock_worker.information",
    "MockWorker": "smg_mock_worker.server",
    "Outcome": "smg_mock_worker.records",
    "RecordedRequest": "smg_mock_worker.records",
    "RequestLog": "smg_mock_worker.records",
})


def __getattr__(name: str) -> object:
    """A name of the server; what only wants the engine model does not load aiohttp."""
    module = _SERVER_NAMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
