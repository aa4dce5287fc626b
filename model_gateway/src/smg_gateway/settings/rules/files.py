"""Files and directories that settings name: they must be there before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

from smg_gateway.settings.errors import ConfigError, os_error_text
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import read_error, require

__all__ = (
    "check_certificates",
    "check_log_directory",
    "check_model_paths",
    "check_named_files",
    "check_record_trace",
    "check_startup_files",
)


def check_certificates(settings: Settings) -> None:
    """Certificates come with their keys, and all of them can be read."""
    client = (settings.client_cert_path, settings.client_key_path)
    server = (settings.tls_cert_path, settings.tls_key_path)
    _check_pair(*client, flags="--client-cert-path and --client-key-path", title="client")
    _check_pair(*server, flags="--tls-cert-path and --tls-key-path", title="server")
    for path in settings.ca_cert_paths:
        _check_readable("CA certificate", path)


def _check_pair(certificate: str | None, key: str | None, *, flags: str, title: str) -> None:
    if (certificate is None) is not (key is None):
        raise ConfigError.validation(f"Both {flags} must be specified together")
    if certificate is not None and key is not None:
        _check_readable(f"{title} certificate", certificate)
        _check_readable(f"{title} key", key)


def _check_readable(title: str, path: str) -> None:
    reason = read_error(path)
    if reason is not None:
        raise ConfigError.validation(f"Failed to read {title} from {path}: {reason}")


def check_named_files(settings: Settings) -> None:
    """The configuration files of MCP and of the store's schema can be read."""
    if settings.mcp_config_path is not None:
        _check_readable("MCP config", settings.mcp_config_path)
    if settings.schema_config is not None:
        reason = read_error(settings.schema_config)
        if reason is not None:
            raise ConfigError.validation(
                f"Failed to read schema config file '{settings.schema_config}': {reason}"
            )


def check_model_paths(settings: Settings) -> None:
    """Paths of models exist; what does not look like a path is a model id of a hub."""
    for field in ("model_path", "tokenizer_path"):
        value: str | None = getattr(settings, field)
        if value is not None and value.startswith(("/", "./", "../", "~")):
            require(Path(value).expanduser().exists(), field, value, "does not exist")
    template = settings.chat_template
    if template is not None:
        path = Path(template)
        require(path.exists(), "chat_template", template, "does not exist")
        require(path.is_file(), "chat_template", template, "is not a file")
        require(path.stat().st_size > 0, "chat_template", template, "is empty")


def check_log_directory(settings: Settings) -> None:
    """The log directory exists, or its nearest existing ancestor admits creating it."""
    if settings.log_dir is None:
        return
    path = Path(settings.log_dir).absolute()
    if path.exists():
        require(path.is_dir(), "log_dir", settings.log_dir, "exists and is not a directory")
        return
    parent = next(ancestor for ancestor in path.parents if ancestor.exists())
    reason = _why_not_writable(parent)
    if reason is not None:
        raise ConfigError.value(
            "log_dir",
            settings.log_dir,
            f"cannot be created: {parent} is not writable: {reason}",
        )


def check_record_trace(settings: Settings) -> None:
    """The recording's file exists and takes more, or can be made where it is to be."""
    if settings.record_trace is None:
        return
    path = Path(settings.record_trace).absolute()
    require(not path.is_dir(), "record_trace", settings.record_trace, "is a directory")
    parent = path.parent
    require(parent.is_dir(), "record_trace", settings.record_trace, f"{parent} does not exist")
    if path.exists():
        require(os.access(path, os.W_OK), "record_trace", settings.record_trace, "is not writable")
        return
    reason = _why_not_writable(parent)
    require(reason is None, "record_trace", settings.record_trace, f"{parent}: {reason}")


def _why_not_writable(directory: Path) -> str | None:
    """Found out by trying: permission bits say nothing about read-only and synthetic trees."""
    probe = directory / f".smg-probe-{os.getpid()}"
    try:
        probe.mkdir()
    except OSError as error:
        return os_error_text(error)
    probe.rmdir()
    return None


def check_startup_files(settings: Settings) -> None:
    """Files that are only read when everything else has been found right."""
    hook = settings.storage_hook_wasm_path
    if hook is not None:
        reason = read_error(hook)
        if reason is not None:
            raise ConfigError.startup(f"failed to read WASM storage hook at {hook}: {reason}")
    if settings.tenant_rate_limit_enabled:
        path = settings.tenant_rate_limit_config
        if path is None:
            raise ConfigError.startup(
                "tenant_rate_limit_enabled is set but tenant_rate_limit_config is not"
            )
        reason = read_error(path)
        if reason is not None:
            raise ConfigError.startup(f"reading {path}: {reason}")
