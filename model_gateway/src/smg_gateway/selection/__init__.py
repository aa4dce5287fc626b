"""Which worker, and whether to try another one."""

from .attempts import RETRYABLE_STATUSES, RetryPolicy
from .selector import Selector

__all__ = ("RETRYABLE_STATUSES", "RetryPolicy", "Selector")
