"""What policies remember, as gauges that are read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from smg_policies import CacheAwarePolicy, ManualPolicy, Policy, StickySessions

from .metrics import Exposition


class PolicyMetrics:
    """Sizes of prefix trees, placements and tables of sticky keys.

    `policies` gives the policies by the model they serve.
    """

    def __init__(
        self,
        exposition: Exposition,
        policies: Callable[[], Mapping[str | None, Policy]],
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
        held: dict[str, int] = {}
        for model, policy in self._policies().items():
            if isinstance(policy, ManualPolicy | StickySessions):
                entries += policy.entries_count
                for worker, count in policy.keys_by_worker().items():
                    held[worker] = held.get(worker, 0) + count
            below = policy.policy if isinstance(policy, StickySessions) else policy
            if isinstance(below, CacheAwarePolicy):
                self._show_prefixes(self._label(model), below)
        self._manual.set(entries)
        for worker in self._held_before - held.keys():
            self._held.of(worker).set(0)
        for worker, count in held.items():
            self._held.of(worker).set(count)
        self._held_before |= held.keys()

    def _show_prefixes(self, label: str, policy: CacheAwarePolicy) -> None:
        texts, tokens = policy.texts.tenant_sizes(), policy.tokens.tenant_sizes()
        self._characters.of(label).set(sum(texts.values()))
        self._tokens.of(label).set(sum(tokens.values()))
        self._tenants.of(label, "string").set(len(texts))
        self._tenants.of(label, "token").set(len(tokens))
        if policy.placements is not None:
            self._placements.of(label).set(len(policy.placements))
        self._blocks.of(label).set(len(policy.events))
