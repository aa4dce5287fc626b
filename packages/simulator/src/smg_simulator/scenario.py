"""What is simulated: policy, fleet, failures; and grids of such scenarios."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product

from smg_mock_worker import EngineTiming
from smg_policies import PolicyConfig, PolicyFactory

from smg_simulator.prompts import DEFAULT_CHARACTERS_PER_TOKEN

__all__ = ("DEFAULT_TIMING", "Outage", "Scenario", "labels", "scenarios")

DEFAULT_TIMING = EngineTiming(
    prefill_tokens_per_s=8_000.0, inter_token_latency_s=0.02, max_running_requests=256
)
"""A mid-sized model on one current accelerator, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Worker number `worker` is down from `start_s` up to `end_s` (virtual seconds).

    It loses its cache and its requests, and is no candidate meanwhile. With `leaves` it was taken
    out on purpose: policies are told to forget it.
    """

    worker: int
    start_s: float
    end_s: float = math.inf
    leaves: bool = False

    def __post_init__(self) -> None:
        if self.worker < 0 or not 0 <= self.start_s < self.end_s:
            raise ValueError(f"not an outage: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to serve a trace.

    `policy` is a name that `smg_policies.create_policy` knows, or what makes a policy. `timing` is that of every worker, or one for each. `cache_blocks` is each worker's prefix
    cache in blocks of the trace (None: without bound). Policies get token ids beside the text, as
    they do for gRPC engines and for requests with `input_ids`; without `token_ids` they get the
    text alone. With `kv_events` engines tell policies that have `events`, as cache_aware has,
    which blocks they hold, at once. With `session_block` prompts that share their
    block of that number (from 0) also share a routing key, where the trace has none. Engines are polled for their load every
    `report_interval_s` (None: never). A request is tried `max_attempts` times, pausing as the
    gateway does. Raises `ValueError` for what cannot be simulated.
    """

    policy: str | PolicyFactory = "cache_aware"
    workers: int = 8
    config: PolicyConfig = field(default_factory=PolicyConfig)
    timing: EngineTiming | tuple[EngineTiming, ...] = DEFAULT_TIMING
    seed: int = 0
    cache_blocks: int | None = None
    outages: tuple[Outage, ...] = ()
    token_ids: bool = True
    kv_events: bool = False
    characters_per_token: float = DEFAULT_CHARACTERS_PER_TOKEN
    session_block: int | None = None
    report_interval_s: float | None = None
    max_attempts: int = 5

    def __post_init__(self) -> None:
        if self.workers < 1 or self.max_attempts < 1:
            raise ValueError("there must be a worker and an attempt at least")
        if isinstance(self.timing, tuple) and len(self.timing) != self.workers:
            raise ValueError(f"{len(self.timing)} timings do not fit {self.workers} workers")
        if self.cache_blocks is not None and self.cache_blocks < 0:
            raise ValueError("cache_blocks must not be negative")
        if self.session_block is not None and self.session_block < 0:
            raise ValueError("session_block must not be negative")
        if self.kv_events and not self.token_ids:
            raise ValueError("kv_events are of use only with token_ids")
        if not 0 < self.characters_per_token < math.inf:
            raise ValueError("characters_per_token must be positive")
        if self.report_interval_s is not None and not self.report_interval_s > 0:
            raise ValueError("report_interval_s must be positive")
        for outage in self.outages:
            if outage.worker >= self.workers:
                raise ValueError(f"there is no worker {outage.worker} among {self.workers}")

    @property
    def policy_name(self) -> str:
        """The policy's name, or that of what makes it."""
        policy = self.policy
        return policy if isinstance(policy, str) else getattr(policy, "__name__", repr(policy))

    @property
    def timings(self) -> tuple[EngineTiming, ...]:
        """Each worker's timing."""
        timing = self.timing
        return timing if isinstance(timing, tuple) else (timing,) * self.workers

    @property
    def settings(self) -> dict[str, object]:
        """The policy's settings that are not the defaults."""
        preset = PolicyConfig()
        found = ((each.name, getattr(self.config, each.name)) for each in fields(PolicyConfig))
        return {name: value for name, value in found if value != getattr(preset, name)}


def scenarios(
    base: Scenario | None = None,
    *,
    policies: Sequence[str | PolicyFactory] = (),
    workers: Sequence[int] = (),
    seeds: Sequence[int] = (),
    settings: Mapping[str, Sequence[object]] | None = None,
) -> list[Scenario]:
    """Every combination of these values, put into `base`; what is left out stays as it is there.

    `settings` are values for fields of `PolicyConfig`. Raises `ValueError` for unknown fields.
    """
    base = base or Scenario()
    settings = settings or {}
    unknown = sorted(settings.keys() - {each.name for each in fields(PolicyConfig)})
    if unknown:
        raise ValueError(f"no policy has a setting {unknown[0]!r}")
    choices = product(
        policies or (base.policy,),
        workers or (base.workers,),
        seeds or (base.seed,),
        product(*settings.values()),
    )
    return [
        replace(
            base,
            policy=policy,
            workers=count,
            seed=seed,
            config=_configured(base.config, dict(zip(settings, values, strict=True))),
        )
        for policy, count, seed, values in choices
    ]


def labels(compared: Iterable[Scenario]) -> list[str]:
    """A name for each: its policy, and whatever not all of them have in common."""
    traits = [_traits(scenario) for scenario in compared]
    varying = [
        key
        for key in (traits[0] if traits else ())
        if key != "policy" and len({each[key] for each in traits}) > 1
    ]
    return [
        " ".join((each["policy"], *(f"{key}={each[key]}" for key in varying))) for each in traits
    ]


def _configured(config: PolicyConfig, values: dict[str, object]) -> PolicyConfig:
    # mypy knows the type of each field; here they come from a mapping of mixed values.
    return replace(config, **values)  # type: ignore[arg-type]


def _traits(scenario: Scenario) -> dict[str, str]:
    traits = {
        each.name: str(getattr(scenario, each.name))
        for each in fields(Scenario)
        if each.name not in {"policy", "config", "timing", "outages"}
    }
    traits["policy"] = scenario.policy_name
    timings = dict.fromkeys(scenario.timings)
    traits["timing"] = " ".join(map(_timing_text, timings))
    traits["outages"] = str(len(scenario.outages))
    config = scenario.config
    return traits | {each.name: str(getattr(config, each.name)) for each in fields(PolicyConfig)}


def _timing_text(timing: EngineTiming) -> str:
    return f"{timing.prefill_tokens_per_s:g}tok/s+{timing.inter_token_latency_s * 1000:g}ms"
