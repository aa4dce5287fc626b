"""Which worker, and whether to try another one."""

from .attempts import RETRYABLE_STATUSES, RetryPolicy, back_pressure_s
from .pairs import Pair, PairBusy, PairRefused, PairSelector, running_window
from .policies import PolicyMaker
from .selector import PreviewUnsupported, Selection, Selector

__all__ = (
    "RETRYABLE_STATUSES",
    "Pair",
    "PairBusy",
    "PairRefused",
    "PairSelector",
    "PolicyMaker",
    "PreviewUnsupported",
    "RetryPolicy",
    "Selection",
    "Selector",
    "back_pressure_s",
    "running_window",
)
