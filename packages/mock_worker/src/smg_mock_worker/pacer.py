"""Runs an engine model on the event loop: one timer, callbacks when tokens are due."""

import asyncio
from collections.abc import Callable, Sequence

from smg_mock_worker.engine import Engine, EngineEvent, EngineLoad, EngineRequest, Finished

__all__ = ("EnginePacer", "Listener")

Listener = Callable[[EngineEvent], None]
"""Called with each event of one request, on the event loop; must not raise."""

# Other work of the event loop gets a turn after so many events of an engine that takes no time.
MAX_EVENTS_PER_TURN = 256


class EnginePacer:
    """Owns the clock of an `Engine`. Belongs to the event loop it was made on."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[EngineRequest, Listener] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def submit(
        self,
        prompt: Sequence[int],
        output: Sequence[int],
        listener: Listener,
        *,
        per_token: bool,
    ) -> EngineRequest:
        """Hand a request to the engine; the listener is called from later turns of the loop on.

        Raises `QueueFull`.
        """
        request = self.engine.submit(prompt, output, self._loop.time(), per_token=per_token)
        self._listeners[request] = listener
        self._arm()
        return request

    def cancel(self, request: EngineRequest) -> None:
        """Stop a request; its listener is not called any more."""
        if self._listeners.pop(request, None) is not None:
            self.engine.cancel(request, self._loop.time())
            self._arm()

    def load(self) -> EngineLoad:
        """The engine's state now."""
        return self.engine.load(self._loop.time())

    def close(self) -> None:
        """Stop every request."""
        for request in tuple(self._listeners):
            self.cancel(request)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        at = self.engine.next_event_at()
        if self._timer is not None:
            if at is not None and self._timer_at <= at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._work)

    def _work(self) -> None:
        self._timer = None
        # A loop may call a timer a clock tick early.
        now = max(self._loop.time(), self._timer_at)
        for event in self.engine.advance(now, MAX_EVENTS_PER_TURN):
            self._tell(event)
        self._arm()

    def _tell(self, event: EngineEvent) -> None:
        if isinstance(event, Finished):
            listener = self._listeners.pop(event.request, None)
        else:
            listener = self._listeners.get(event.request)
        # Events of one turn may be left over from a request that was cancelled in the same turn.
        if listener is None:
            return
        try:
            listener(event)
        # The boundary between requests: a defect in one must not silence the others.
        except Exception as error:  # noqa: BLE001
            context = {"message": "An engine listener failed", "exception": error}
            self._loop.call_exception_handler(context)
