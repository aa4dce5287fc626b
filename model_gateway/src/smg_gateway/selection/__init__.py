"""Which worker, and whether to try another one."""

from .attempts import RETRYABLE_STATUSES, RetryPolicy
from .policies import PolicyMaker
from .selector import PreviewUnsupported, Selection, Selector

__all__ = (
    "RETRYABLE_STATUSES",
    "PolicyMaker",
    "PreviewUnsupported",
    "RetryPolicy",
    "Selection",
    "Selector",
)
