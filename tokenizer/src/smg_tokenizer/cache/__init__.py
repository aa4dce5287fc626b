"""Encodings kept: of whole texts (L0), and of the pieces between special tokens (L1)."""

from .exact import ExactCache
from .pieces import PieceCache
from .statistics import CacheStatistics
from .tokenizer import CachedTokenizer, CacheLimits

__all__ = ("CacheLimits", "CacheStatistics", "CachedTokenizer", "ExactCache", "PieceCache")
