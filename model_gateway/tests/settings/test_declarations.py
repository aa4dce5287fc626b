"""The declarations, against upstream's flags and against each other."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import smg_gateway.settings as settings_door
from smg_gateway.settings import (
    AVAILABLE_POLICIES,
    ControlPlaneKey,
    Declaration,
    Settings,
    Status,
    declarations,
)

DATA = Path(__file__).parent / "data" / "upstream_flags.json"
RENDER_SCRIPT = Path(__file__).parents[3] / "scripts" / "render_settings.py"
UPSTREAM: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))
VALUED = [row for row in UPSTREAM if row["kind"] not in {"flag", "bool pair"}]
BY_FLAG = {declaration.flag: declaration for declaration in declarations()}

KINDS = {
    "flag": ("flag", str),
    "bool pair": ("toggle", str),
    "str (lower-cased)": ("one", str),
    "csv": ("one", str),
    "csv int": ("one", int),
    "float": ("one", float),
    "float+": ("some", float),
    "int": ("one", int),
    "int>=0": ("one", int),
    "str": ("one", str),
    "str*": ("any", str),
    "str+": ("some", str),
    "str (repeat)": ("repeated", str),
    "str+ (repeat)": ("groups", str),
}


def upstream_ids(row: dict[str, Any]) -> str:
    return str(row["flag"])


def as_data(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def option_strings(declaration: Declaration) -> list[str]:
    """All spellings in the order of the help text; a toggle has a negative for each."""
    names = [declaration.flag, *declaration.aliases]
    if declaration.shape.taking != "toggle":
        return names
    return [name for flag in names for name in (flag, f"--no-{flag.removeprefix('--')}")]


@pytest.mark.parametrize("row", UPSTREAM, ids=upstream_ids)
def test_every_upstream_flag_is_declared_as_upstream_has_it(row: dict[str, Any]) -> None:
    declaration = BY_FLAG[row["flag"]]

    assert option_strings(declaration)[1:] == row["aliases"]
    assert declaration.group == row["group"]
    assert as_data(declaration.default) == row["default"]
    assert as_data(declaration.choices) == row["choices"]
    assert declaration.environment == row["environment"]
    assert declaration.shape.taking == KINDS[row["kind"]][0]


@pytest.mark.parametrize("row", VALUED, ids=upstream_ids)
def test_numbers_are_read_as_numbers(row: dict[str, Any]) -> None:
    declaration = BY_FLAG[row["flag"]]

    word = declaration.shape.word("7")

    values = word if isinstance(word, tuple) else (word,)
    assert all(type(value) is KINDS[row["kind"]][1] for value in values)


def test_declarations_come_in_the_order_of_upstreams_help() -> None:
    ours = [declaration.flag for declaration in declarations() if not declaration.own]

    assert ours == [row["flag"] for row in UPSTREAM]
    assert len(ours) == 212


def test_flags_of_our_own_are_few_and_marked() -> None:
    own = {declaration.flag for declaration in declarations() if declaration.own}

    assert own == {
        "--body-memory-bytes",
        "--config",
        "--log-file-bytes",
        "--log-files",
        "--log-filter",
        "--otlp-traces-protocol",
        "--policy-options",
        "--record-trace",
        "--reload",
        "--session-key-sources",
        "--trace-sample-ratio",
    }


def test_no_two_declarations_share_a_spelling() -> None:
    spellings = [name for declaration in declarations() for name in option_strings(declaration)]

    assert len(spellings) == len(set(spellings))


def test_a_field_is_named_after_its_flag_and_defaults_to_its_declaration() -> None:
    settings = Settings()

    assert {field.name for field in fields(Settings)} == {one.name for one in declarations()}
    assert all(getattr(settings, one.name) == one.default for one in declarations())


def test_each_group_stands_together() -> None:
    groups = [title for title, _ in groupby(declarations(), key=lambda one: one.group)]

    assert len(groups) == len(set(groups))


def test_every_declaration_says_what_it_is_for() -> None:
    for declaration in declarations():
        assert declaration.help.endswith("."), declaration.flag
        assert "|" not in declaration.help, declaration.flag
        assert len(declaration.help) >= 20, declaration.flag


def test_what_is_available_is_part_of_what_can_be_chosen() -> None:
    for declaration in declarations():
        if declaration.available is not None:
            assert set(declaration.available) <= set(declaration.choices or ()), declaration.flag
            assert declaration.default in declaration.available, declaration.flag


def test_policies_that_can_be_chosen_are_the_available_ones() -> None:
    assert BY_FLAG["--policy"].available == AVAILABLE_POLICIES


def test_an_absent_setting_is_off_by_default() -> None:
    for declaration in declarations():
        if declaration.status is Status.ABSENT:
            assert not declaration.default, declaration.flag


def test_whatever_carries_a_credential_is_secret() -> None:
    secret = {declaration.name for declaration in declarations() if declaration.secret}

    assert secret == {
        "api_key",
        "control_plane_api_keys",
        "oracle_connect_descriptor",
        "oracle_password",
        "postgres_db_url",
        "redis_url",
        "tenant_api_key",
    }


def test_the_repr_shows_what_was_changed_and_no_secret() -> None:
    settings = Settings(
        port=1,
        api_key="hush",
        tenant_api_key=(("acme", "hush"),),
        control_plane_api_keys=(ControlPlaneKey("i", "n", "admin", "hush"),),
    )

    assert repr(settings) == (
        "Settings(port=1, api_key='***', control_plane_api_keys='***', tenant_api_key='***')"
    )
    assert repr(Settings()) == "Settings()"


def test_a_masked_dump_names_every_setting_and_shows_no_secret() -> None:
    dump = Settings(api_key="hush", redis_url="redis://:hush@cache").masked()

    assert len(dump) == len(declarations())
    assert dump["api_key"] == dump["redis_url"] == "***"
    assert dump["oracle_password"] is None
    assert dump["port"] == 30000
    assert "hush" not in str(dump)


def test_settings_are_values() -> None:
    one, other = Settings(port=1), Settings(port=1)

    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(FrozenInstanceError):
        one.port = 2  # type: ignore[misc]


def test_derived_addresses_drop_brackets_and_follow_the_family_of_the_host() -> None:
    assert Settings(host="[::1]").bind_host == "::1"
    assert Settings(host="[::1]").metrics_bind_host == "::"
    assert Settings(host="127.0.0.1").metrics_bind_host == "0.0.0.0"
    assert Settings(prometheus_host="[fd00::1]").metrics_bind_host == "fd00::1"


def test_disabled_retries_leave_one_attempt() -> None:
    assert Settings(retry_max_retries=4).attempt_limit == 4
    assert Settings(retry_max_retries=4, disable_retries=True).attempt_limit == 1


def test_the_reference_page_is_current() -> None:
    check = subprocess.run(
        [sys.executable, str(RENDER_SCRIPT), "--check"], capture_output=True, text=True, check=False
    )

    assert (check.returncode, check.stderr) == (0, "")


def test_every_name_behind_the_door_is_documented() -> None:
    named = [getattr(settings_door, name) for name in settings_door.__all__]

    assert [one for one in named if callable(one) and not one.__doc__] == []


def test_what_is_opened_once_cannot_change_live() -> None:
    live = {declaration.name for declaration in declarations() if declaration.live_reload}
    opened = {"host", "port", "prometheus_port", "health_check_port", "tls_cert_path", "config",
              "reload", "log_dir", "log_json", "enable_trace", "otlp_traces_endpoint"}  # fmt: skip

    assert live.isdisjoint(opened)
    assert {"worker_urls", "policy", "api_key", "queue_size", "log_level"} <= live
