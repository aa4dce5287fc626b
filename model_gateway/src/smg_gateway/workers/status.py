"""Where in its life a worker is."""

from __future__ import annotations

import enum


class WorkerStatus(enum.Enum):
    """Life of a worker: `not_ready` ones come back by themselves, `failed` ones may be removed."""

    PENDING = "pending"
    READY = "ready"
    NOT_READY = "not_ready"
    FAILED = "failed"
    DRAINING = "draining"
