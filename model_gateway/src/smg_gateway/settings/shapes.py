"""What a setting's value looks like: how words become it, and how wide its integers are."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from smg_gateway.settings.errors import ConfigError

__all__ = (
    "ALIASES",
    "BOOTSTRAP_URLS",
    "CONTROL_PLANE_KEYS",
    "CSV",
    "FLAG",
    "FLOAT",
    "FLOATS",
    "I32",
    "I64",
    "INT_CSV",
    "LOWER_TEXT",
    "NATURAL",
    "PAIRS",
    "REPEATED",
    "ROLE_MAPPING",
    "SELECTOR",
    "TENANT_KEYS",
    "TEXT",
    "TOGGLE",
    "U16",
    "U32",
    "U64",
    "WORDS",
    "BootstrapUrl",
    "ControlPlaneKey",
    "Shape",
)

_Pairs = tuple[tuple[str, str], ...]
Taking = Literal["flag", "toggle", "one", "repeated", "any", "some", "groups"]


class BootstrapUrl(NamedTuple):
    """A worker of a disaggregated leg and the port on which its bootstrap server listens."""

    url: str
    bootstrap_port: int | None


class ControlPlaneKey(NamedTuple):
    """A credential of the control plane; `role` is `admin` or `user`."""

    id: str
    name: str
    role: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the words after a flag become a value.

    `taking` says how many words there are and what a second occurrence does: `one` replaces,
    `repeated` adds one word, `any` (zero or more) and `some` (one or more) extend the list,
    `groups` adds one group of words, `flag` and `toggle` take none.
    `word` reads a single word and may raise ValueError or ArgumentTypeError (exit code 2);
    `build` turns the list of read words into the value and may raise ConfigError (exit code 1).
    `low` and `high` bound integers after reading (exit code 1).
    """

    label: str
    taking: Taking = "one"
    word: Callable[[str], object] = str
    build: Callable[[Sequence[str]], object] | None = None
    low: int | None = None
    high: int | None = None

    def finish(self, name: str, raw: object) -> object:
        """The value of setting `name` from what the parser collected; raises ConfigError."""
        if isinstance(raw, list):
            return self.build(raw) if self.build is not None else tuple(raw)
        self.check_width(name, raw)
        return raw

    def check_width(self, name: str, value: object) -> None:
        """Raise ConfigError if `value` is an integer that setting `name` has no room for."""
        if isinstance(value, int) and self.low is not None and self.high is not None:
            _check_width(name, value, self.low, self.high)


def _check_width(name: str, value: int, low: int, high: int) -> None:
    if low <= value <= high:
        return
    if high < 2**63:
        raise ConfigError.overflow(name, "out of range integral type conversion attempted")
    if value < 0:
        raise ConfigError.overflow(name, "can't convert negative int to unsigned")
    raise ConfigError.overflow(name, "int too big to convert")


def _non_negative(word: str) -> int:
    try:
        value = int(word)
    except ValueError:
        value = -1
    if value < 0:
        raise ArgumentTypeError(f"expected a non-negative integer, got '{word}'")
    return value


# The parser quotes this function's name in its message, and scripts match on that message.
def _parse_int_csv(word: str) -> tuple[int, ...]:
    return tuple(int(piece) for piece in word.split(",") if piece.strip())


def _csv(word: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in word.split(",") if piece.strip())


def _pairs(words: Sequence[str]) -> _Pairs:
    """Pieces without `=` are dropped: manifests in the wild carry stray words."""
    found: list[tuple[str, str]] = []
    for word in words:
        for piece in word.split():
            key, equals, value = piece.partition("=")
            if equals:
                found.append((key, value))
    return tuple(found)


def _selector(words: Sequence[str]) -> _Pairs:
    return tuple(dict(_pairs(words)).items())


def _aliases(words: Sequence[str]) -> _Pairs:
    found: dict[str, str] = {}
    for word in words:
        alias, equals, canonical = (part.strip() for part in word.partition("="))
        if not (alias and equals and canonical):
            raise ConfigError.argument(
                f"Invalid model alias '{word}'. Expected format: <alias>=<canonical>"
            )
        if alias == canonical:
            raise ConfigError.argument(
                f"Invalid model alias '{word}'. Alias must differ from the canonical model ID"
            )
        if found.setdefault(alias, canonical) != canonical:
            raise ConfigError.argument(
                f"Invalid model alias '{alias}'. It maps to both '{found[alias]}' and '{canonical}'"
            )
    return tuple(found.items())


def _tenant_keys(words: Sequence[str]) -> _Pairs:
    found: list[tuple[str, str]] = []
    for word in words:
        tenant, colon, key = word.partition(":")
        if not colon:
            raise ConfigError.argument(
                "Invalid --tenant-api-key value: expected 'tenant_id:key' (missing ':' separator)"
            )
        found.append((tenant.strip(), key.strip()))
    return tuple(found)


def _control_plane_keys(words: Sequence[str]) -> tuple[ControlPlaneKey, ...]:
    found: list[ControlPlaneKey] = []
    for word in words:
        parts = word.split(":", 3)
        if len(parts) != 4:
            raise ConfigError.argument(
                "Invalid control-plane API key entry: expected 'id:name:role:key'"
            )
        if parts[2] not in {"admin", "user"}:
            raise ConfigError.argument(
                "Invalid control-plane API key role: must be 'admin' or 'user'"
            )
        found.append(ControlPlaneKey(*parts))
    return tuple(found)


def _role_mapping(words: Sequence[str]) -> _Pairs:
    found: list[tuple[str, str]] = []
    for word in words:
        idp_role, equals, role = word.partition("=")
        if not equals:
            raise ConfigError.argument(
                f"Invalid role mapping format: '{word}'. Expected 'idp_role=gateway_role'"
            )
        if role not in {"admin", "user"}:
            raise ConfigError.argument(f"Invalid gateway role: '{role}'. Must be 'admin' or 'user'")
        found.append((idp_role, role))
    return tuple(found)


def _bootstrap_urls(groups: Sequence[Sequence[str]]) -> tuple[BootstrapUrl, ...]:
    return tuple(_bootstrap_url(group) for group in groups)


def _bootstrap_url(group: Sequence[str]) -> BootstrapUrl:
    if len(group) < 2 or group[1].lower() == "none":
        return BootstrapUrl(group[0], None)
    try:
        port = int(group[1])
    except ValueError as error:
        raise ConfigError.argument(
            f"Invalid bootstrap port: {group[1]}. Must be a number or 'none'"
        ) from error
    _check_width("bootstrap_port", port, 0, 2**16 - 1)
    return BootstrapUrl(group[0], port)


TEXT = Shape(label="text")
LOWER_TEXT = Shape(label="text", word=str.lower)
FLOAT = Shape(label="float", word=float)
U16 = Shape(label="int", word=int, low=0, high=2**16 - 1)
U32 = Shape(label="int", word=int, low=0, high=2**32 - 1)
U64 = Shape(label="int", word=int, low=0, high=2**64 - 1)
I32 = Shape(label="int", word=int, low=-(2**31), high=2**31 - 1)
I64 = Shape(label="int", word=int, low=-(2**63), high=2**63 - 1)
NATURAL = Shape(label="int >= 0", word=_non_negative, low=0, high=2**64 - 1)
FLAG = Shape(label="switch", taking="flag")
TOGGLE = Shape(label="on/off", taking="toggle")
WORDS = Shape(label="list of text", taking="any")
FLOATS = Shape(label="list of float", taking="some", word=float)
REPEATED = Shape(label="text, repeatable", taking="repeated")
CSV = Shape(label="comma-separated text", word=_csv)
INT_CSV = Shape(label="comma-separated int", word=_parse_int_csv)
PAIRS = Shape(label="list of key=value", taking="any", build=_pairs)
SELECTOR = Shape(label="list of key=value", taking="some", build=_selector)
ALIASES = Shape(label="alias=name, repeatable", taking="repeated", build=_aliases)
TENANT_KEYS = Shape(label="tenant:key, repeatable", taking="repeated", build=_tenant_keys)
CONTROL_PLANE_KEYS = Shape(
    label="list of id:name:role:key", taking="any", build=_control_plane_keys
)
ROLE_MAPPING = Shape(label="list of role=role", taking="any", build=_role_mapping)
BOOTSTRAP_URLS = Shape(
    label="URL [PORT or none], repeatable",
    taking="groups",
    build=_bootstrap_urls,
)
