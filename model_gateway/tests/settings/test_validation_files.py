"""Rules about files and directories that settings name."""

from __future__ import annotations

from pathlib import Path

import pytest
from smg_gateway.settings import ConfigError, Settings, validate

GONE = "No such file or directory (os error 2)"


def refusal(settings: Settings) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(settings)
    return caught.value.line.removeprefix("ValueError: Configuration error: ")


@pytest.fixture
def present(tmp_path: Path) -> str:
    path = tmp_path / "present"
    path.write_text("content")
    return str(path)


def test_readable_certificates_are_accepted(present: str) -> None:
    validate(
        Settings(
            tls_cert_path=present,
            tls_key_path=present,
            client_cert_path=present,
            client_key_path=present,
            ca_cert_paths=(present,),
        )
    )


def test_a_certificate_that_cannot_be_read_is_named_by_its_part(present: str) -> None:
    server = Settings(tls_cert_path="/gone", tls_key_path=present)
    client = Settings(client_cert_path="/gone", client_key_path=present)
    key = Settings(tls_cert_path=present, tls_key_path="/gone")
    authority = Settings(ca_cert_paths=(present, "/gone"))

    failed = "Validation failed: Failed to read"
    assert refusal(server) == f"{failed} server certificate from /gone: {GONE}"
    assert refusal(client) == f"{failed} client certificate from /gone: {GONE}"
    assert refusal(key) == f"{failed} server key from /gone: {GONE}"
    assert refusal(authority) == f"{failed} CA certificate from /gone: {GONE}"


def test_configuration_files_of_other_parts_must_be_readable() -> None:
    assert refusal(Settings(mcp_config_path="/gone")) == (
        f"Validation failed: Failed to read MCP config from /gone: {GONE}"
    )
    assert refusal(Settings(schema_config="/gone")) == (
        f"Validation failed: Failed to read schema config file '/gone': {GONE}"
    )


def test_the_scheduler_file_is_read_only_when_the_scheduler_is_on() -> None:
    validate(Settings(priority_scheduler_config="/gone"))

    on = Settings(priority_scheduler_config="/gone", priority_scheduler_enabled=True)
    assert refusal(on) == (
        f"Invalid value for field 'priority_scheduler_config': /gone - reading /gone: {GONE}"
    )


def test_start_up_files_are_refused_as_start_up_failures() -> None:
    hook = Settings(storage_hook_wasm_path="/gone")
    limits = Settings(tenant_rate_limit_enabled=True, tenant_rate_limit_config="/gone")

    assert refusal(hook) == f"RuntimeError: failed to read WASM storage hook at /gone: {GONE}"
    assert refusal(limits) == f"RuntimeError: reading /gone: {GONE}"


@pytest.mark.parametrize("field", ["model_path", "tokenizer_path", "chat_template"])
def test_a_path_that_leads_nowhere_is_refused(field: str) -> None:
    settings = Settings(**{field: "/gone"})  # type: ignore[arg-type]

    assert refusal(settings) == f"Invalid value for field '{field}': /gone - does not exist"


def test_an_empty_chat_template_is_refused(tmp_path: Path, present: str) -> None:
    empty = tmp_path / "empty"
    empty.touch()

    validate(Settings(chat_template=present))
    assert refusal(Settings(chat_template=str(empty))).endswith(" - is empty")
    assert refusal(Settings(chat_template=str(tmp_path))).endswith(" - is not a file")


def test_a_log_directory_may_be_created_later_but_is_not_created_by_checking(
    tmp_path: Path,
) -> None:
    validate(Settings(log_dir=str(tmp_path)))
    validate(Settings(log_dir=str(tmp_path / "a" / "b")))

    assert list(tmp_path.iterdir()) == []


def test_a_log_directory_that_is_a_file_is_refused(present: str) -> None:
    assert refusal(Settings(log_dir=present)) == (
        f"Invalid value for field 'log_dir': {present} - exists and is not a directory"
    )


def test_a_log_directory_below_something_unwritable_is_refused() -> None:
    assert refusal(Settings(log_dir="/proc/x")).startswith(
        "Invalid value for field 'log_dir': /proc/x - cannot be created: /proc is not writable: "
    )
