"""A renderer that does something first, and is in all else the one behind it."""

from __future__ import annotations

from .contract import ChatRenderer, ContentFormat, Preparation, ThinkingToggle

__all__ = ("RendererInFront",)


class RendererInFront:
    """Has the properties of `inner`; what it renders is up to the subclass."""

    def __init__(self, inner: ChatRenderer) -> None:
        self.inner = inner

    @property
    def content_format(self) -> ContentFormat:
        """That of the inner renderer."""
        return self.inner.content_format

    @property
    def thinking_toggle(self) -> ThinkingToggle:
        """That of the inner renderer."""
        return self.inner.thinking_toggle

    @property
    def thinking_key(self) -> str | None:
        """That of the inner renderer."""
        return self.inner.thinking_key

    @property
    def think_in_prefill(self) -> bool:
        """That of the inner renderer."""
        return self.inner.think_in_prefill

    @property
    def preparation(self) -> Preparation:
        """That of the inner renderer."""
        return self.inner.preparation
