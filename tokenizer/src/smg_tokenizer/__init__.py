"""Text to token ids and back for LLM serving: encoding, incremental decoding, stop sequences, chat
templates and caches. Importing this package loads no tokenizer library and no template engine."""

from typing import TYPE_CHECKING

from .bundle import BundleChunk, BundleReader, load_bundle, read_bundle, unpack_bundle
from .cache import CachedTokenizer, CacheLimits, CacheStatistics
from .chat_encoding import encode_chat
from .decoding import DecodeStream
from .end_tokens import eos_token_ids
from .errors import (
    BundleInvalid,
    RenderingFailed,
    TemplateError,
    TemplateInvalid,
    TemplateMissing,
    TokenIdInvalid,
    TokenizerError,
    TokenizerExists,
    TokenizerInvalid,
    TokenizerNotLoaded,
)
from .factory import create_tokenizer, load_path, published_encoding
from .hub import HubClient, download_tokenizer
from .interface import EncodePath, Encoding, SpecialTokens, Tokenizer
from .joining import AsyncEncoder
from .registry import TokenizerEntry, TokenizerRegistry
from .renderers import ChatRenderer, ContentFormat, RenderOptions, ThinkingToggle
from .segments import Segmenter
from .stops import StopSequenceDecoder, StopSequences

if TYPE_CHECKING:
    from .templates import ChatTemplate, load_chat_renderer, prepare_messages

__all__ = (
    "AsyncEncoder",
    "BundleChunk",
    "BundleInvalid",
    "BundleReader",
    "CacheLimits",
    "CacheStatistics",
    "CachedTokenizer",
    "ChatRenderer",
    "ChatTemplate",
    "ContentFormat",
    "DecodeStream",
    "EncodePath",
    "Encoding",
    "HubClient",
    "RenderOptions",
    "RenderingFailed",
    "Segmenter",
    "SpecialTokens",
    "StopSequenceDecoder",
    "StopSequences",
    "TemplateError",
    "TemplateInvalid",
    "TemplateMissing",
    "ThinkingToggle",
    "TokenIdInvalid",
    "Tokenizer",
    "TokenizerEntry",
    "TokenizerError",
    "TokenizerExists",
    "TokenizerInvalid",
    "TokenizerNotLoaded",
    "TokenizerRegistry",
    "create_tokenizer",
    "download_tokenizer",
    "encode_chat",
    "eos_token_ids",
    "load_bundle",
    "load_chat_renderer",
    "load_path",
    "prepare_messages",
    "published_encoding",
    "read_bundle",
    "unpack_bundle",
)

_NEEDS_JINJA = frozenset({"ChatTemplate", "load_chat_renderer", "prepare_messages"})


def __getattr__(name: str) -> object:
    """Names whose modules need Jinja are brought in when they are first used."""
    if name in _NEEDS_JINJA:
        from . import templates

        return getattr(templates, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
