"""What every tokenizer of this package can do, whichever library does the work."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from .decoding import DecodeStream
from .renderers.contract import ChatRenderer, ContentFormat, RenderOptions, ThinkingToggle
from .segments import Segmenter

EncodePath = Literal["tiktoken", "tokenizers", "mock"]

NAMED_TOKENS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)


class Encoding(NamedTuple):
    """The token ids of one text.

    `ids` is a tuple of plain ints, so that a cached encoding can be handed to many callers.
    Encodings with equal ids are equal and have the same hash.
    """

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """A tokenizer's special tokens as text; `additional` holds every one marked as special."""

    bos_token: str | None = None
    eos_token: str | None = None
    unk_token: str | None = None
    sep_token: str | None = None
    pad_token: str | None = None
    cls_token: str | None = None
    mask_token: str | None = None
    additional: tuple[str, ...] = ()

    def named(self) -> dict[str, str]:
        """The tokens that have a name, by that name; absent ones are missing."""
        values = {name: getattr(self, name) for name in NAMED_TOKENS}
        return {name: text for name, text in values.items() if text is not None}

    def texts(self) -> frozenset[str]:
        """All special tokens' texts."""
        return frozenset((*self.named().values(), *self.additional)) - {""}


class Tokenizer(Protocol):
    """Text to token ids and back, and a chat to text. Safe to share between threads.

    Text that spells a special token is always encoded as that token: chat prompts rely on it.
    """

    @property
    def vocab_size(self) -> int:
        """Number of tokens. For tokenizer.json without the added ones, so an id may be larger."""
        ...

    @property
    def special_tokens(self) -> SpecialTokens: ...

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """Ids that end an answer, sorted, from the model's configuration; empty if unknown."""
        ...

    @property
    def segmenter(self) -> Segmenter | None:
        """Where a text may be cut without changing its ids; None if that is not known."""
        ...

    @property
    def encode_path(self) -> EncodePath:
        """The engine that encodes: "tokenizers", or "tiktoken" after a conversion that proved exact."""
        ...

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """Texts that the fast engine declined, counted by reason ("not_nfc", "piece_declined")."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        """The ids of `text`; `add_special_tokens` adds what the model's post-processor adds.

        A lone surrogate counts as U+FFFD. Raises TokenizerError for a text that its backend cannot
        encode: tiktoken's engine alone has a limit, runs of white space over 65,535 characters.
        """
        ...

    def encode_ordinary(self, text: str) -> Encoding:
        """The ids of `text` in which no special token is looked for, whatever it spells."""
        ...

    def encode_batch(
        self, texts: Iterable[str], *, add_special_tokens: bool = False
    ) -> list[Encoding]:
        """The encodings of several texts, in their order."""
        ...

    def decode(
        self,
        ids: Iterable[int],
        *,
        skip_special_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
    ) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD.

        `spaces_between_special_tokens` puts a space between an added token and its neighbours.
        Raises TokenIdInvalid for a negative id, and for an unknown one where the vocabulary is in
        tiktoken's format; elsewhere unknown ids are left out.
        """
        ...

    def decode_stream(
        self,
        *,
        skip_special_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        prompt_ids: Sequence[int] = (),
    ) -> DecodeStream:
        """A new incremental decoder; the text of `prompt_ids` is context and not given out."""
        ...

    def token_to_id(self, token: str) -> int | None: ...

    def id_to_token(self, token_id: int) -> str | None: ...

    @property
    def chat_renderer(self) -> ChatRenderer | None: ...

    @property
    def chat_template_content_format(self) -> ContentFormat:
        """How the chat template wants content: text ("string") or a list of parts ("openai")."""
        ...

    @property
    def thinking_toggle(self) -> ThinkingToggle: ...

    @property
    def thinking_key(self) -> str | None:
        """The template variable that switches thinking."""
        ...

    @property
    def think_in_prefill(self) -> bool:
        """Whether the generation prompt already opens the thinking."""
        ...

    def set_chat_template(self, text: str) -> None:
        """Replace the chat template. Raises TemplateInvalid if it does not parse."""
        ...

    def apply_chat_template(
        self, messages: Sequence[Mapping[str, object]], options: RenderOptions | None = None
    ) -> str:
        """The prompt text of a chat. Raises TemplateMissing, RenderingFailed."""
        ...
