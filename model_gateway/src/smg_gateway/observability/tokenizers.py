"""How tokenizers encode and what their caches spare, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smg_tokenizer import CachedTokenizer, TokenizerEntry

from .metrics import Cell, Exposition

_PATHS = {"tiktoken": "native", "tokenizers": "tokenizers"}
"""Engines by the names that SMG's metric has for them."""


class TokenizerMetrics:
    """Counters over all tokenizers that there have been."""

    def __init__(
        self, exposition: Exposition, entries: Callable[[], Sequence[TokenizerEntry]]
    ) -> None:
        self._entries = entries
        counter = exposition.counter
        self._lookups = counter(
            "smg_tokenizer_cache_lookups_total", "Looks into a cache.", ("layer", "result")
        )
        self._evictions = counter(
            "smg_tokenizer_cache_evictions_total", "Encodings that made room.", ("layer",)
        )
        self._reused = counter(
            "smg_tokenizer_cache_reused_bytes_total", "Bytes of text not encoded again.", ("layer",)
        )
        self._loads = counter(
            "smg_tokenizer_encode_path_loads_total", "Tokenizers by encoding engine.", ("path",)
        )
        self._fallbacks = counter(
            "smg_tokenizer_encode_fallbacks_total", "Texts the fast engine declined.", ("reason",)
        )
        # By tokenizer and series, what was counted so far.
        self._seen: dict[str, dict[tuple[str, ...], int]] = {}
        exposition.on_scrape(self.refresh)

    def refresh(self) -> None:
        """Read all tokenizers."""
        entries = self._entries()
        self._seen = {entry.id: self._seen.get(entry.id, {}) for entry in entries}
        for entry in entries:
            seen = self._seen[entry.id]
            tokenizer = entry.tokenizer
            path = _PATHS.get(tokenizer.encode_path)
            if path is not None:
                _advance(seen, ("path", path), 1, self._loads.of(path))
            for reason, count in tokenizer.fallbacks.items():
                _advance(seen, ("fallback", reason), count, self._fallbacks.of(reason))
            if isinstance(tokenizer, CachedTokenizer):
                self._read_caches(seen, tokenizer)

    def _read_caches(self, seen: dict[tuple[str, ...], int], tokenizer: CachedTokenizer) -> None:
        for layer, told in tokenizer.statistics().items():
            _advance(seen, (layer, "hit"), told.hits, self._lookups.of(layer, "hit"))
            _advance(seen, (layer, "miss"), told.misses, self._lookups.of(layer, "miss"))
            _advance(seen, (layer, "out"), told.evictions, self._evictions.of(layer))
            _advance(seen, (layer, "reused"), told.reused_bytes, self._reused.of(layer))


def _advance(seen: dict[tuple[str, ...], int], key: tuple[str, ...], now: int, cell: Cell) -> None:
    """Count what has come since the last scrape: a cleared or removed cache takes nothing back."""
    before = seen.get(key, 0)
    cell.value += now - before if now >= before else now
    seen[key] = now
