"""Texts to encode, for property tests: scripts, emoji, white space, code, and special tokens."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

SNIPPETS = (
    "Hello, world! It's 2024; we'll see.",
    "你好，世界。日本語のテキスト 한국어",
    "مرحبا بالعالم، كيف الحال؟ ١٢٣",
    "Привет नमस्ते สวัสดี שלום",
    "🦀👩‍👩‍👧 👍🏽🇩🇪❤️",
    "def f(x):\n\treturn x  # ok\n\n",
    '{"a": [1, 2.5], "b": "\\n"}',
    "12345 1,000 3.14",
    "e\u0301 a\u0308 \u1100\u1161",
    "   \n \t\r\n\u3000\u00a0",
    "\x00\x01\u200d\ufeff\u0378",
    "<|im_start|>",
    "<",
    "<|",
    "|>",
)


def texts(special: Iterable[str] = ()) -> st.SearchStrategy[str]:
    """Arbitrary characters and snippets in any order, special tokens among them."""
    known = sorted(special)[:40]
    parts = st.one_of(
        st.sampled_from(SNIPPETS),
        st.text(max_size=12),
        st.text(alphabet=" \n\r\t", max_size=6),
        *([st.sampled_from(known)] if known else []),
    )
    return st.lists(parts, max_size=8).map("".join)
