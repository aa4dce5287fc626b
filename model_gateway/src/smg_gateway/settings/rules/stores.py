"""The store of history and the tokenizer caches."""

from __future__ import annotations

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import require, require_positive

__all__ = ("check_history", "check_tokenizer_cache")


def check_history(settings: Settings) -> None:
    """What the chosen store needs; the others' settings are not looked at."""
    if settings.history_backend == "oracle":
        _check_oracle(settings)
    if settings.history_backend == "memory":
        bounds = (settings.history_memory_max_responses, settings.history_memory_max_items)
        if min(bounds) < 1:
            raise ConfigError.validation(
                "memory history: max_responses and max_items must be at least 1"
            )


def _check_oracle(settings: Settings) -> None:
    if settings.oracle_external_auth:
        if settings.oracle_username or settings.oracle_password:
            raise ConfigError.validation(
                "oracle.username and oracle.password must be empty when "
                "oracle.external_auth is true"
            )
    else:
        if not settings.oracle_username:
            raise ConfigError.missing("oracle.username")
        if not settings.oracle_password:
            raise ConfigError.missing("oracle.password")
    if not (settings.oracle_tns_alias or settings.oracle_connect_descriptor):
        raise ConfigError.missing("oracle_dsn or oracle_tns_alias")
    require_positive("oracle.pool_timeout_secs", settings.oracle_pool_timeout_secs)


def check_tokenizer_cache(settings: Settings) -> None:
    """Caches that are switched on have room."""
    if settings.tokenizer_cache_enable_l0:
        _check_room("l0_max_entries", settings.tokenizer_cache_l0_max_entries, "L0")
        _check_room("l0_max_memory", settings.tokenizer_cache_l0_max_memory, "L0")
    if settings.tokenizer_cache_enable_l1:
        _check_room("l1_max_memory", settings.tokenizer_cache_l1_max_memory, "L1")


def _check_room(name: str, value: int, level: str) -> None:
    reason = f"Must be > 0 when {level} cache is enabled"
    require(value > 0, f"tokenizer_cache.{name}", value, reason)
