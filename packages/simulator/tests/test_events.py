from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import CacheAwarePolicy, Candidate, Decision, PolicyConfig, RoutingRequest
from smg_simulator import Outage, Scenario, Trace, TraceBuilder, simulate
from smg_simulator.simulation import run

BLOCK = 4


class Foreteller(CacheAwarePolicy):
    """Takes the candidates in turn, and writes down how much of a prompt each is said to hold."""

    def __init__(self, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
        super().__init__(rng, config, clock)
        self.foretold: list[int] = []

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        worker = candidates[len(self.foretold) % len(candidates)]
        overlap = self.events.find_tokens(request.tokens or (), BLOCK)
        self.foretold.append(overlap.scores.get(worker.id, 0))
        return Decision(worker, self.name, "in turn")


class Tellers:
    """Makes foretellers, one for each model, and keeps them."""

    def __init__(self) -> None:
        self.made: list[Foreteller] = []

    def __call__(
        self, *, rng: Random, config: PolicyConfig, clock: Callable[[], float]
    ) -> Foreteller:
        self.made.append(Foreteller(rng, config, clock))
        return self.made[-1]


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 2), max_size=6), st.integers(0, 3), st.integers(1, 9)),
        max_size=25,
    ),
    st.none() | st.integers(0, 8),
    st.lists(
        st.builds(
            Outage,
            worker=st.just(0),
            start_s=st.sampled_from([550.0, 1050.0]),
            end_s=st.sampled_from([1060.0, 1250.0]),
            leaves=st.booleans(),
        ),
        max_size=2,
    ),
)
def test_policies_are_told_exactly_what_engines_hold(
    prompts: list[tuple[list[int], int, int]], cache_blocks: int | None, outages: list[Outage]
) -> None:
    # So far apart that nothing changes between a choice and its prefill.
    builder = TraceBuilder(block_size=BLOCK)
    for number, (hashes, cut, output) in enumerate(prompts):
        builder.add(number * 100.0, max(0, len(hashes) * BLOCK - cut), output, hashes)
    tellers, trace = Tellers(), builder.build()
    result = simulate(
        trace, tellers, workers=2, cache_blocks=cache_blocks, outages=outages, kv_events=True
    )
    usable = [max(0, request.prompt_tokens - 1) // BLOCK for request in trace.requests]
    assert [
        min(foretold, most) * BLOCK
        for foretold, most in zip(tellers.made[0].foretold, usable, strict=True)
    ] == list(result.record.cached_tokens)


def test_each_models_policy_hears_of_its_own_blocks() -> None:
    builder = TraceBuilder(block_size=BLOCK)
    for number, model in enumerate(["small", "large", "small"]):
        builder.add(number * 10.0, 8, 1, [1, 2], model=model)
    tellers = Tellers()
    simulate(builder.build(), tellers, workers=1, kv_events=True)
    assert [len(each.events) for each in tellers.made] == [2, 2]


def test_events_find_more_than_memory_alone(conversations: Callable[..., Trace]) -> None:
    trace = conversations(chats=7)
    told = simulate(trace, "cache_aware", workers=4, cache_blocks=30, kv_events=True)
    guessed = simulate(trace, "cache_aware", workers=4, cache_blocks=30)
    assert told.hit_rate >= guessed.hit_rate
    assert "engine reports the prefix cached here" in told.reasons


def test_policies_that_do_not_listen_choose_as_before(conversations: Callable[..., Trace]) -> None:
    scenario = Scenario(policy="round_robin", workers=3, cache_blocks=20)
    trace = conversations()
    deaf, spoken_to = run(trace, scenario), run(trace, replace(scenario, kv_events=True))
    assert deaf.record == spoken_to.record


def test_an_index_that_forgot_the_beginning_of_a_prompt_misses_the_rest() -> None:
    class Forgetful(Foreteller):
        def __init__(self, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
            super().__init__(rng, config, clock)
            self.events = type(self.events)(max_worker_blocks=1)

    builder = TraceBuilder(block_size=BLOCK)
    for number, length in enumerate((1, 3, 5)):
        builder.add(number * 10.0, length * BLOCK, 1, range(length))
        builder.add(number * 10.0 + 5, BLOCK, 1, ["other"])
    result = simulate(builder.build(), Forgetful, workers=1, kv_events=True)
    assert result.completed == 6


def test_events_without_token_ids_make_no_sense() -> None:
    with pytest.raises(ValueError, match="only with token_ids"):
        Scenario(kv_events=True, token_ids=False)
