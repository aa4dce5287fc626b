"""Where two keys part ways: texts, or tokens packed into bytes."""

from __future__ import annotations

from typing import AnyStr


def shared_length(edge: AnyStr, key: AnyStr, at: int) -> int:
    """How many leading elements `edge` and `key[at:]` share.

    Doubling first and halving then keeps the comparisons inside `startswith`: a long edge costs
    a dozen calls, not one step per element.
    """
    low, high = 0, min(len(edge), len(key) - at)
    step = 16
    while low < high:
        middle = min(low + step, high)
        if not key.startswith(edge[low:middle], at + low):
            high = middle - 1
            break
        low = middle
        step *= 2
    while low < high:
        middle = (low + high + 1) // 2
        if key.startswith(edge[low:middle], at + low):
            low = middle
        else:
            high = middle - 1
    return low
