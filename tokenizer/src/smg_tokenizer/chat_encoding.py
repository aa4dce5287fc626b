"""From a conversation to token ids."""

from collections.abc import Mapping, Sequence

from .errors import RenderingFailed
from .interface import Encoding, Tokenizer
from .renderers import RenderOptions


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, object]],
    options: RenderOptions | None = None,
    *,
    ordinary_text: bool | None = None,
) -> Encoding:
    """The ids of a conversation's prompt.

    With `ordinary_text`, text of the request that spells a special token is not read as one, so
    that nobody can forge the format's own markup. None does as the model's own encoder does: most
    read special tokens everywhere. Raises TemplateMissing and RenderingFailed; the latter also where
    a template cannot tell its markup from the request's text: Jinja templates cannot.
    """
    options = options or RenderOptions()
    renderer = tokenizer.chat_renderer
    if ordinary_text is None:
        ordinary_text = renderer is not None and renderer.preparation.ordinary_text
    if renderer is None or not ordinary_text:
        return tokenizer.encode(tokenizer.apply_chat_template(messages, options))
    render_segments = getattr(renderer, "render_segments", None)
    if render_segments is None:
        raise RenderingFailed("this template cannot tell its markup from the request's text")
    ids: list[int] = []
    for segment in render_segments(messages, options):
        encode = tokenizer.encode if segment.is_control else tokenizer.encode_ordinary
        ids += encode(segment.text).ids
    return Encoding(tuple(ids))
