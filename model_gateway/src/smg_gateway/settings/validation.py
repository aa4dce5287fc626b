"""The order in which settings are checked: users see the first failure only."""

from __future__ import annotations

from collections.abc import Callable

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings, declarations
from smg_gateway.settings.rules import (
    access,
    addresses,
    arguments,
    files,
    fleet,
    logs,
    policies,
    requests,
    resilience,
    stores,
)
from smg_gateway.settings.rules.conditions import is_discovering

__all__ = ("validate",)

Rule = Callable[[Settings], None]


def validate(settings: Settings) -> None:
    """Raise ConfigError, with upstream's message, for the first rule that `settings` break.

    Whether this version has what they ask for is another question: see `check_available`.
    Files and directories that settings name are looked at; nothing else is touched.
    """
    for rule in _RULES:
        rule(settings)


def _check_domains(settings: Settings) -> None:
    """Choices and widths hold for settings that did not come through the command line, too."""
    for declaration in declarations():
        value = getattr(settings, declaration.name)
        if value is None:
            continue
        declaration.shape.check_width(declaration.name, value)
        choices = declaration.choices
        if choices is not None and value not in choices:
            reason = f"expected one of {', '.join(choices)}"
            raise ConfigError.value(declaration.name, value, reason)


def _check_metrics(settings: Settings) -> None:
    if settings.prometheus_host is not None:
        addresses.check_bind_host("metrics.host", settings.prometheus_host)
    addresses.check_listener_ports(settings)


def _check_disaggregated_engines(settings: Settings) -> None:
    if not settings.epd_disaggregation or is_discovering(settings):
        return
    if any(url.startswith("http") for url in addresses.urls_in_use(settings)):
        raise ConfigError.startup("EPD mode requires gRPC connection_mode and TokenSpeed")


_RULES: tuple[Rule, ...] = (
    _check_domains,
    arguments.check_jwt,
    arguments.check_discovery_file,
    arguments.check_pools,
    arguments.check_mesh,
    files.check_certificates,
    files.check_named_files,
    addresses.check_worker_urls,
    policies.check_policies,
    policies.check_overload,
    policies.check_session_keys,
    requests.check_server,
    requests.check_media,
    requests.check_headers,
    requests.check_origins,
    requests.check_storage_context,
    access.check_tenant_header,
    access.check_credentials,
    fleet.check_discovery,
    _check_metrics,
    access.check_trace,
    policies.check_worker_counts,
    fleet.check_prefill_admission,
    access.check_planes,
    resilience.check_retries,
    resilience.check_breaker,
    resilience.check_health,
    stores.check_history,
    stores.check_tokenizer_cache,
    files.check_model_paths,
    files.check_log_directory,
    logs.check_logs,
    files.check_record_trace,
    files.check_startup_files,
    _check_disaggregated_engines,
)
