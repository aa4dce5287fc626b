"""The shared data-plane key."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from ..errors import ErrorRecord, Kind

_REALM = b'Bearer realm="data-plane"'

MISSING_KEY = ErrorRecord(
    status=401,
    code="invalid_api_key",
    message="Missing API key: send it as `Authorization: Bearer <key>`",
    kind=Kind.REQUEST,
    headers=((b"www-authenticate", _REALM),),
)
WRONG_KEY = ErrorRecord(
    status=401,
    code="invalid_api_key",
    message="Invalid API key",
    kind=Kind.REQUEST,
    headers=((b"www-authenticate", _REALM + b', error="invalid_token"'),),
)


class DataPlaneKeys:
    """Checks bearer tokens in constant time; without a key everything is open."""

    def __init__(self, key: str | None) -> None:
        self.replace(key)

    def replace(self, key: str | None) -> None:
        """Another key, or none, from now on."""
        self._key = key.encode() if key is not None else None

    def check(self, fields: Mapping[bytes, bytes]) -> ErrorRecord | None:
        """The reason to refuse a request with these headers, if any."""
        if self._key is None:
            return None
        scheme, _, token = fields.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            return MISSING_KEY
        if hmac.compare_digest(token.strip(), self._key):
            return None
        return WRONG_KEY


class ControlPlaneKeys:
    """Who may look after the gateway.

    The shared key opens the control plane as long as there are no keys of its own; without any key
    everything is open. Keys that belong to tenants alone never open it: with `only_tenants` there
    is nothing that would.
    """

    def __init__(self, shared: DataPlaneKeys, *, only_tenants: bool = False) -> None:
        self._shared = shared
        self._only_tenants = only_tenants

    def check(self, fields: Mapping[bytes, bytes]) -> ErrorRecord | None:
        """The reason to refuse a request with these headers, if any."""
        if self._only_tenants:
            return WRONG_KEY if b"authorization" in fields else MISSING_KEY
        return self._shared.check(fields)
