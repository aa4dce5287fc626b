"""What one rendering may cost, and the running account of it.

A template is a program that came with a model. Time alone can not stop it: a thread that computes
is not interruptible, and one operation may ask for gigabytes. So work is counted where it happens,
and an operation is refused before it allocates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, MappingView, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from jinja2.exceptions import TemplateRuntimeError

__all__ = ("LimitExceeded", "RenderLimits", "RenderingBudget", "charged_to", "current_budget")

# The processor clock is read once in so many steps; reading it at each would cost more than most.
CLOCK_MASK = 31
# How many characters, or items of a list, weigh as much as one step of a loop.
CHARS_PER_STEP_BITS = 10
ITEMS_PER_STEP_BITS = 4
# Tuples: a union is built anew each time it is tested for.
TEXTS = (str, bytes)
CONTAINERS = (list, tuple, dict)
# An operation of this size is looked at by the clock at once.
LARGE = 1 << 14
# What an item weighs beside its text when containers are nested in containers.
ITEM_WEIGHT = 8


class LimitExceeded(TemplateRuntimeError):
    """A rendering ran into one of its limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderLimits:
    """Bounds of one rendering; whatever crosses one ends it with `RenderingFailed`.

    `steps` counts loop rounds, calls and filters; `cpu_s` is processor time of the rendering
    thread; `text_chars` bounds one string, `items` one list, `weight` a nested structure written
    out, `total_chars` everything that was ever built, `output_chars` the prompt.
    """

    steps: int = 5_000_000
    cpu_s: float = 5.0
    text_chars: int = 32 * 1024 * 1024
    items: int = 4 * 1024 * 1024
    weight: int = 64 * 1024 * 1024
    total_chars: int = 1024 * 1024 * 1024
    output_chars: int = 64 * 1024 * 1024


class RenderingBudget:
    """The account of one rendering: bookings raise `LimitExceeded` once it is overdrawn."""

    __slots__ = ("_chars", "_ends_at", "_steps", "_ticks", "_weights", "limits", "now")

    def __init__(self, limits: RenderLimits, now: Callable[[], datetime]) -> None:
        self.limits = limits
        # Steps come one by one; what an operation reads or builds is booked beside them.
        self._ticks = 0
        self._steps = 0
        self._chars = 0
        self._ends_at = time.thread_time() + limits.cpu_s
        # id -> (container, weight). The container is kept, so that its id is not given away.
        self._weights: dict[int, tuple[object, int]] = {}
        self.now = now

    def tick(self) -> None:
        """Book one step."""
        self._ticks += 1
        if self._ticks & CLOCK_MASK == 0:
            self.check()

    def check(self) -> None:
        """Look at the steps and the clock now: a single operation may have taken long."""
        if self._ticks + self._steps > self.limits.steps:
            raise LimitExceeded("the template takes too many steps")
        if time.thread_time() > self._ends_at:
            raise LimitExceeded("the template takes too long")

    def book_text(self, chars: int) -> None:
        """Book a string of `chars` characters, before it is built where that can be told."""
        if chars > self.limits.text_chars:
            raise LimitExceeded(f"a text of {chars} characters is too long")
        self._chars += chars
        if self._chars > self.limits.total_chars:
            raise LimitExceeded("the template builds too much text")
        self._steps += chars >> CHARS_PER_STEP_BITS
        if chars > LARGE:
            self.check()

    def book_items(self, count: int) -> None:
        """Book a list of `count` items."""
        if count > self.limits.items:
            raise LimitExceeded(f"a list of {count} items is too long")
        self._steps += count >> ITEMS_PER_STEP_BITS
        self._chars += count * ITEM_WEIGHT
        if count > LARGE:
            self.check()

    def scan(self, value: object) -> None:
        """Book one step and the reading of `value`."""
        if isinstance(value, CONTAINERS):
            self._steps += len(value) >> ITEMS_PER_STEP_BITS
        elif isinstance(value, str):
            self._steps += len(value) >> CHARS_PER_STEP_BITS
        else:
            self.tick()
            return
        self.tick()
        if len(value) > LARGE:
            self.check()

    def book(self, value: object) -> None:
        """Book one step and whatever `value` holds."""
        self.tick()
        if isinstance(value, TEXTS):
            self.book_text(len(value))
        elif isinstance(value, CONTAINERS):
            self.book_items(len(value))

    def book_output(self, chars: int) -> None:
        """Check the length of the prompt so far."""
        if chars > self.limits.output_chars:
            raise LimitExceeded(f"the rendered prompt is longer than {chars} characters")

    def weigh(self, value: object) -> int:
        """What `value` would weigh written out; shared parts count as often as they occur."""
        if isinstance(value, TEXTS):
            return len(value) + ITEM_WEIGHT
        if not isinstance(value, CONTAINERS):
            return ITEM_WEIGHT
        return self._weigh_container(value)

    def book_weight(self, container: object, weight: int) -> None:
        """Remember what a container that the template made weighs."""
        if weight > self.limits.weight:
            raise LimitExceeded("a nested value is too large")
        self._weights[id(container)] = (container, weight)

    def _weigh_container(self, root: Sequence[object] | Mapping[object, object]) -> int:
        # Without recursion: a template may nest as deep as it has steps.
        open_containers: list[Sequence[object] | Mapping[object, object]] = [root]
        weights = self._weights
        while open_containers:
            container = open_containers[-1]
            known = weights.get(id(container))
            if known is not None:
                open_containers.pop()
                continue
            weight, missing = ITEM_WEIGHT, False
            for child in _children(container):
                if isinstance(child, CONTAINERS):
                    entry = weights.get(id(child))
                    if entry is None:
                        open_containers.append(child)
                        missing = True
                    else:
                        weight += entry[1]
                elif isinstance(child, str):
                    weight += len(child) + ITEM_WEIGHT
                else:
                    weight += ITEM_WEIGHT
            if not missing:
                open_containers.pop()
                self.book_weight(container, weight)
            self._steps += 1 + (len(container) >> ITEMS_PER_STEP_BITS)
        self.check()
        return weights[id(root)][1]


def _children(
    container: Sequence[object] | Mapping[object, object],
) -> Sequence[object]:
    if isinstance(container, Mapping):
        return [*container.keys(), *container.values()]
    if any(isinstance(child, MappingView) for child in container):
        # A view prints what it looks at, and has no identity to remember its weight by.
        raise LimitExceeded("a view of a mapping can not be kept in a list")
    return container


# A rendering never suspends, but several threads may render at once.
_CURRENT: ContextVar[RenderingBudget] = ContextVar("smg_tokenizer_rendering")


def current_budget() -> RenderingBudget:
    """The account of the rendering that runs in this context.

    Raises `LimitExceeded` outside a rendering: while a template is compiled, constant expressions
    are tried out, and must not be, since nobody pays for them.
    """
    budget = _CURRENT.get(None)
    if budget is None:
        raise LimitExceeded("not while compiling")
    return budget


class charged_to:
    """Makes `budget` the current one inside a `with` block."""

    __slots__ = ("_budget", "_token")

    def __init__(self, budget: RenderingBudget) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self._budget)

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)
