"""Request ids: taken from the client when usable, made otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

DEFAULT_HEADERS: tuple[bytes, ...] = (
    b"x-request-id",
    b"x-correlation-id",
    b"x-trace-id",
    b"request-id",
)

_USABLE = re.compile(rb"[\x21-\x7e]{1,128}\Z")


class RequestIds:
    """Chooses the id of a request.

    The first header present wins; a value that is not 1 to 128 visible ASCII characters is
    replaced. Generated ids are the route's prefix and 24 alphanumerics.
    """

    def __init__(
        self, make_random: Callable[[], str], headers: Sequence[bytes] = DEFAULT_HEADERS
    ) -> None:
        self._random = make_random
        self._headers = tuple(headers)

    def choose(self, fields: Mapping[bytes, bytes], prefix: str) -> str:
        """The id for a request with these headers."""
        for name in self._headers:
            value = fields.get(name)
            if value is not None:
                if _USABLE.match(value):
                    return value.decode("ascii")
                break
        return prefix + self._random()
