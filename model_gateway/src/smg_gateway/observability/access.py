"""One line per request."""

from __future__ import annotations

from logging import INFO

from structlog.typing import FilteringBoundLogger

from .logs import get_logger

_MODULE = "smg_gateway.access"


class AccessLog:
    """Writes the access line of each request; a record is built only when it will be written."""

    def __init__(self) -> None:
        self._log = get_logger(_MODULE)
        self._bound: FilteringBoundLogger | None = None

    def write(
        self,
        *,
        method: str,
        path: str,
        status: int,
        duration_s: float,
        request_id: str,
        error_code: str = "",
        worker: str | None = None,
        model: str | None = None,
        attempts: int | None = None,
        stream: bool | None = None,
    ) -> None:
        """Log a finished request at info level."""
        fields: dict[str, object] = {
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(duration_s * 1e3, 3),
            "request_id": request_id,
        }
        if error_code:
            fields["error_code"] = error_code
        if worker is not None:
            fields["worker"] = worker
        if model is not None:
            fields["model"] = model
        if attempts is not None:
            fields["attempts"] = attempts
        if stream is not None:
            fields["stream"] = stream
        self._logger().info("request", **fields)

    def enabled(self) -> bool:
        """Whether lines are written at all."""
        return bool(self._logger().is_enabled_for(INFO))

    def _logger(self) -> FilteringBoundLogger:
        bound = self._bound
        if bound is None:
            # Not before the first request: by then the program has set up its logs.
            bound = self._bound = self._log.bind()
        return bound
