"""What all tokenizers share: the chat side, and decoding on top of one decoding table."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from ..decoding import DecodeStream, SpacedStream
from ..errors import TemplateMissing
from ..interface import EncodePath, Encoding, SpecialTokens
from ..renderers.contract import ChatRenderer, ContentFormat, RenderOptions, ThinkingToggle
from ..segments import Segmenter

_NO_TEMPLATE = (
    "Cannot use chat template functions because tokenizer.chat_template is not set and no "
    "template was given"
)


class BaseTokenizer(ABC):
    """A tokenizer but for its vocabulary."""

    def __init__(
        self,
        *,
        special_tokens: SpecialTokens,
        eos_token_ids: tuple[int, ...] = (),
        chat_renderer: ChatRenderer | None = None,
        segmenter: Segmenter | None = None,
    ) -> None:
        self.special_tokens = special_tokens
        self.eos_token_ids = eos_token_ids
        self.chat_renderer = chat_renderer
        self.segmenter = segmenter

    @property
    @abstractmethod
    def vocab_size(self) -> int: ...

    @property
    def encode_path(self) -> EncodePath:
        return "tokenizers"

    @property
    def fallbacks(self) -> Mapping[str, int]:
        return MappingProxyType({})

    @abstractmethod
    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding: ...

    @abstractmethod
    def encode_ordinary(self, text: str) -> Encoding: ...

    def encode_batch(
        self, texts: Iterable[str], *, add_special_tokens: bool = False
    ) -> list[Encoding]:
        return [self.encode(text, add_special_tokens=add_special_tokens) for text in texts]

    @abstractmethod
    def token_to_id(self, token: str) -> int | None: ...

    @abstractmethod
    def id_to_token(self, token_id: int) -> str | None: ...

    @abstractmethod
    def _skipped_ids(self) -> frozenset[int]:
        """The ids that `skip_special_tokens` leaves out."""

    @abstractmethod
    def _added_ids(self) -> frozenset[int]:
        """The ids of added tokens, special or not."""

    @abstractmethod
    def _decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str: ...

    @abstractmethod
    def _stream(self, skip_special_tokens: bool) -> DecodeStream: ...

    def decode(
        self,
        ids: Iterable[int],
        *,
        skip_special_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
    ) -> str:
        listed = ids if isinstance(ids, list | tuple) else list(ids)
        if not spaces_between_special_tokens:
            return self._decode(listed, skip_special_tokens)
        skipped = self._skipped_ids() if skip_special_tokens else frozenset[int]()
        added = self._added_ids()
        runs: list[list[int]] = []
        joinable = False
        for token_id in listed:
            if token_id in skipped:
                continue
            if token_id in added or not joinable:
                runs.append([])
            runs[-1].append(token_id)
            joinable = token_id not in added
        return " ".join(self._decode(run, False) for run in runs)

    def decode_stream(
        self,
        *,
        skip_special_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        prompt_ids: Sequence[int] = (),
    ) -> DecodeStream:
        if spaces_between_special_tokens:
            skipped = self._skipped_ids() if skip_special_tokens else frozenset[int]()
            stream: DecodeStream = SpacedStream(self._stream(False), self._added_ids(), skipped)
        else:
            stream = self._stream(skip_special_tokens)
        if prompt_ids:
            stream.feed(prompt_ids)
        return stream

    @property
    def chat_template_content_format(self) -> ContentFormat:
        return "string" if self.chat_renderer is None else self.chat_renderer.content_format

    @property
    def thinking_toggle(self) -> ThinkingToggle:
        return "none" if self.chat_renderer is None else self.chat_renderer.thinking_toggle

    @property
    def thinking_key(self) -> str | None:
        return None if self.chat_renderer is None else self.chat_renderer.thinking_key

    @property
    def think_in_prefill(self) -> bool:
        return self.chat_renderer is not None and self.chat_renderer.think_in_prefill

    def set_chat_template(self, text: str) -> None:
        from ..templates import ChatTemplate

        self.chat_renderer = ChatTemplate(text, self.special_tokens.named())

    def apply_chat_template(
        self, messages: Sequence[Mapping[str, object]], options: RenderOptions | None = None
    ) -> str:
        if self.chat_renderer is None:
            raise TemplateMissing(_NO_TEMPLATE)
        return self.chat_renderer.render(messages, options or RenderOptions())


def without_surrogates(text: str) -> str:
    """`text` as it can be written in UTF-8: pairs of surrogates joined, lone ones U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
