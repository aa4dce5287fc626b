"""The worker's own control routes below `/_mock/`."""

from collections.abc import Callable, Mapping

from smg_mock_worker.delivery import Reply
from smg_mock_worker.exchange import Call, decode_body, encode_json
from smg_mock_worker.faults import Fault
from smg_mock_worker.information import LoadOverride
from smg_mock_worker.state import WorkerState

__all__ = ("ADMIN_PREFIX", "admin_routes")

ADMIN_PREFIX = "/_mock/"


def _faults(state: WorkerState, call: Call) -> Reply:
    return Reply(body=encode_json(list(state.faults)))


def _add_faults(state: WorkerState, call: Call) -> Reply:
    body = call.body.strip()
    state.faults.add(*decode_body(body if body[:1] == b"[" else b"[%b]" % body, list[Fault]))
    return _faults(state, call)


def _clear_faults(state: WorkerState, call: Call) -> Reply:
    state.faults.clear()
    return _faults(state, call)


def _requests(state: WorkerState, call: Call) -> Reply:
    records = state.requests.to(path) if (path := call.query.get("path")) else state.requests
    return Reply(body=encode_json([record.as_json() for record in records]))


def _clear_requests(state: WorkerState, call: Call) -> Reply:
    state.requests.clear()
    return _requests(state, call)


def _load(state: WorkerState, call: Call) -> Reply:
    return Reply(body=encode_json(state.loads()))


def _override_load(state: WorkerState, call: Call) -> Reply:
    state.load_override = decode_body(call.body, LoadOverride)
    return _load(state, call)


def _restore_load(state: WorkerState, call: Call) -> Reply:
    state.load_override = None
    return _load(state, call)


def admin_routes() -> Mapping[tuple[str, str], Callable[[WorkerState, Call], Reply]]:
    """The control routes: (method, path) -> answer."""
    return {
        ("GET", "/_mock/faults"): _faults,
        ("POST", "/_mock/faults"): _add_faults,
        ("DELETE", "/_mock/faults"): _clear_faults,
        ("GET", "/_mock/requests"): _requests,
        ("DELETE", "/_mock/requests"): _clear_requests,
        ("GET", "/_mock/load"): _load,
        ("POST", "/_mock/load"): _override_load,
        ("DELETE", "/_mock/load"): _restore_load,
    }
