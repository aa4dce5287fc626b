"""What a cache_aware policy remembers of prompts: one prefix tree over text, one over tokens."""

from __future__ import annotations

from hashlib import blake2b

from smg_kv_index import PrefixMatch, StringTree, TokenTree

from ._config import PolicyConfig

_MARK = "\x00"
"""Starts the key of a partitioned prompt, and of any prompt that starts so by itself."""

_HEAD_BYTES = 64
"""Bytes put in front of a partitioned prompt's tokens: one page, so that pages stay aligned."""

_TOKEN_BYTES = 4


class TextMemory:
    """Prompts as text."""

    def __init__(self, config: PolicyConfig) -> None:
        self.tree = StringTree(max_depth=config.max_tree_depth)
        self._max_size = config.max_tree_size
        self._max_holds = config.max_tree_holds

    def recall(
        self, text: str, partition: str | None, *, touch: bool
    ) -> tuple[str, PrefixMatch, int]:
        """The longest remembered prefix of a text in its partition; an access if `touch`.

        Returns the key it was looked up by, the match, and how much of both is not the prompt's.
        """
        skip = 0
        if partition or text.startswith(_MARK):
            # The length makes the head unambiguous: no partition's name is a prefix of another's.
            head = f"{_MARK}{len(partition or '')}:{partition or ''}"
            skip = len(head)
            text = head + text
        find = self.tree.match if touch else self.tree.peek
        return text, find(text), skip

    def store(self, key: str, match: PrefixMatch, worker_id: str) -> None:
        """Remember the recalled text as that worker's."""
        tree = self.tree
        tree.place(match, key, worker_id)
        if tree.size > self._max_size or tree.holds_count > self._max_holds:
            tree.evict_to(self._max_size, self._max_holds)


class TokenMemory:
    """Prompts as token ids."""

    def __init__(self, config: PolicyConfig) -> None:
        self.tree = TokenTree(max_depth=config.max_tree_depth)
        self._max_size = config.max_tree_size
        self._max_holds = config.max_tree_holds

    def recall(
        self, packed: bytes, partition: str | None, *, touch: bool
    ) -> tuple[bytes, PrefixMatch, int]:
        """The longest remembered prefix of packed token ids there; an access if `touch`.

        Returns the key it was looked up by, the match, and how many tokens are not the prompt's.
        """
        skip = 0
        if partition:
            name = partition.encode("utf-8", "surrogatepass")
            packed = blake2b(name, digest_size=_HEAD_BYTES).digest() + packed
            skip = _HEAD_BYTES // _TOKEN_BYTES
        find = self.tree.match_packed if touch else self.tree.peek_packed
        return packed, find(packed), skip

    def store(self, key: bytes, match: PrefixMatch, worker_id: str) -> None:
        """Remember the recalled tokens as that worker's."""
        tree = self.tree
        tree.place_packed(match, key, worker_id)
        if tree.size > self._max_size or tree.holds_count > self._max_holds:
            tree.evict_to(self._max_size, self._max_holds)
