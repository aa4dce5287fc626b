"""Which worker, and whether to try another one."""

from .attempts import RETRYABLE_STATUSES, RetryPolicy
from .selector import Selection, Selector

__all__ = ("RETRYABLE_STATUSES", "RetryPolicy", "Selection", "Selector")
