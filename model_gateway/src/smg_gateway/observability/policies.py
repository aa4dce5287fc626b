"""What policies remember, as gauges that are read at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from smg_policies import CacheAwarePolicy, ManualPolicy, Policy, StickySessions

from .metrics import Cell, Exposition


class PolicyMetrics:
    """Sizes of prefix trees, placements and tables of sticky keys.

    `policies` gives each policy with the model it serves; those of one model add up.
    """

    def __init__(
        self,
        exposition: Exposition,
        policies: Callable[[], Iterable[tuple[str | None, Policy]]],
        label: Callable[[str | None], str],
    ) -> None:
        gauge = exposition.gauge
        self._policies = policies
        self._label = label
        self._manual = gauge("smg_manual_policy_cache_entries", "Sticky keys remembered.").of()
        self._held = gauge(
            "smg_worker_routing_keys_active", "Sticky keys held by a worker.", ("worker",)
        )
        self._characters = gauge(
            "smg_cache_tree_chars", "Characters of prompts in the prefix trees.", ("model",)
        )
        self._tokens = gauge(
            "smg_cache_tree_tokens", "Tokens of prompts in the prefix trees.", ("model",)
        )
        self._tenants = gauge(
            "smg_cache_tree_tenants", "Workers in a prefix tree.", ("model", "tree")
        )
        self._placements = gauge(
            "smg_cache_placement_entries", "Hashes in the placement index.", ("model",)
        )
        self._blocks = gauge(
            "smg_kv_index_entries", "Blocks known from engines' cache events.", ("model",)
        )
        self._held_before: set[str] = set()
        exposition.on_scrape(self.refresh)

    def refresh(self) -> None:
        """Read all policies."""
        entries = 0
        held: Counter[str] = Counter()
        sizes: dict[Cell, int] = {}
        for model, policy in self._policies():
            if isinstance(policy, ManualPolicy | StickySessions):
                entries += policy.entries_count
                held.update(policy.keys_by_worker())
            below = policy.policy if isinstance(policy, StickySessions) else policy
            if isinstance(below, CacheAwarePolicy):
                self._measure(sizes, self._label(model), below)
        self._manual.set(entries)
        for cell, size in sizes.items():
            cell.set(size)
        for worker in self._held_before - held.keys():
            self._held.of(worker).set(0)
        for worker, count in held.items():
            self._held.of(worker).set(count)
        self._held_before |= held.keys()

    def _measure(self, sizes: dict[Cell, int], label: str, policy: CacheAwarePolicy) -> None:
        texts, tokens = policy.texts.tenant_sizes(), policy.tokens.tenant_sizes()
        found = {
            self._characters.of(label): sum(texts.values()),
            self._tokens.of(label): sum(tokens.values()),
            self._tenants.of(label, "string"): len(texts),
            self._tenants.of(label, "token"): len(tokens),
            self._blocks.of(label): len(policy.events),
        }
        if policy.placements is not None:
            found[self._placements.of(label)] = len(policy.placements)
        for cell, size in found.items():
            sizes[cell] = sizes.get(cell, 0) + size
