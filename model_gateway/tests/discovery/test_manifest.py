"""The manifest: what it says, and what is refused, with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.discovery import DiscoveredWorker, ManifestInvalid, read_manifest


def manifest(*workers: dict[str, Any], **others: Any) -> bytes:
    return json.dumps({"version": 1, "workers": list(workers), **others}).encode()


def test_an_entry_with_nothing_but_a_url_is_a_regular_worker_named_after_it() -> None:
    assert read_manifest(manifest({"url": "http://a:1"})) == {
        "http://a:1": DiscoveredWorker(id="http://a:1", url="http://a:1")
    }


def test_every_field_of_an_entry_is_taken() -> None:
    entry: dict[str, Any] = {
        "id": "p-0",
        "url": "https://a:1/base",
        "worker_type": "prefill",
        "bootstrap_port": 8998,
        "model_id": "llama",
        "kv_connector": "MooncakeConnector",
        "kv_role": "kv_producer",
        "kv_engine_id": "e-0",
    }

    assert read_manifest(manifest(entry)) == {"p-0": DiscoveredWorker(**entry)}


def test_fields_that_are_null_count_as_left_out() -> None:
    entry = {"url": "http://a", "id": None, "worker_type": None, "bootstrap_port": None}

    assert read_manifest(manifest(entry)) == read_manifest(manifest({"url": "http://a"}))


def test_a_url_without_a_scheme_is_http_and_names_the_worker_as_written() -> None:
    found = read_manifest(manifest({"url": "10.0.0.1:8000"}, {"url": "[fd00::1]:8000"}))

    assert {each.id: each.url for each in found.values()} == {
        "10.0.0.1:8000": "http://10.0.0.1:8000",
        "[fd00::1]:8000": "http://[fd00::1]:8000",
    }


def test_no_workers_at_all_is_a_valid_wish() -> None:
    assert read_manifest(manifest()) == {}


A = {"url": "http://a"}

REFUSED = [
    (b"", "no JSON: "),
    (b'{"version": 1,\n "workers": [}', "no JSON: line 2, column 14: "),
    (b'{"version": 1, "workers": [{"url": "htt', "no JSON: "),
    (b'\xff{"version": 1}', "no JSON: "),
    (b"[" * 100_000, "nested too deeply"),
    (b"[]", "$: a manifest is an object"),
    (b"null", "$: a manifest is an object"),
    (b'{"workers": []}', "$: Object missing required field `version`"),
    (b'{"version": 1}', "$: Object missing required field `workers`"),
    (b'{"version": 2, "workers": [], "new": 1}', "$.version: 2 is not known"),
    (b'{"version": "1", "workers": []}', "$.version: '1' is not known"),
    (b'{"version": true, "workers": []}', "$.version: True is not known"),
    (b'{"version": 1.0, "workers": []}', "$.version: 1.0 is not known"),
    (b'{"version": 1, "workers": {}}', "$.workers: Expected `array`, got `object`"),
    (manifest(A, extra=1), "$: Object contains unknown field `extra`"),
    (manifest(A, {**A, "labels": {}}), "$.workers[1]: Object contains unknown field `labels`"),
    (manifest({"id": "a"}), "$.workers[0]: Object missing required field `url`"),
    (manifest({"url": ""}), "$.workers[0].url: "),
    (manifest({"url": 7}), "$.workers[0].url: Expected `str`, got `int`"),
    (manifest({"url": "ftp://a"}), "$.workers[0].url: URL must start with"),
    (manifest({"url": "http://u:p@a"}), "$.workers[0].url: Invalid URL format: credentials"),
    (manifest({**A, "id": ""}), "$.workers[0].id: "),
    (manifest({**A, "worker_type": "Prefill"}), "$.workers[0].worker_type: "),
    (manifest({**A, "bootstrap_port": 0}), "$.workers[0].bootstrap_port: "),
    (manifest({**A, "bootstrap_port": 65536}), "$.workers[0].bootstrap_port: "),
    (manifest({**A, "bootstrap_port": "8998"}), "$.workers[0].bootstrap_port: "),
    (
        manifest({**A, "id": "x"}, {"url": "http://b", "id": "x"}),
        "$.workers[1].id: 'x' is there already",
    ),
    (manifest(A, {**A, "id": "x"}), "$.workers[1].url: the same as that of $.workers[0]"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED)
def test_a_fault_anywhere_refuses_the_whole_manifest_and_says_where(
    data: bytes, reason: str
) -> None:
    with pytest.raises(ManifestInvalid) as refusal:
        read_manifest(data)

    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize("entry", [A, {**A, "worker_type": "regular"}])
def test_regular_workers_are_refused_where_only_legs_are_of_use(entry: dict[str, str]) -> None:
    with pytest.raises(ManifestInvalid, match=r"^\$\.workers\[0\]\.worker_type: prefill/decode"):
        read_manifest(manifest(entry), paired=True)

    assert read_manifest(manifest({**A, "worker_type": "decode"}), paired=True)


def test_yaml_says_the_same() -> None:
    text = b"""\
version: 1
workers:
  # two of a kind
  - url: http://a:1
  - id: p-0
    url: b:2
    worker_type: prefill
    bootstrap_port: 8998
"""

    assert read_manifest(text, is_yaml=True) == {
        "http://a:1": DiscoveredWorker(id="http://a:1", url="http://a:1"),
        "p-0": DiscoveredWorker(
            id="p-0", url="http://b:2", worker_type="prefill", bootstrap_port=8998
        ),
    }


REFUSED_YAML = [
    (b"", "$: a manifest is an object"),
    (b"version: 1\nworkers: [", "no YAML: line "),
    (b"version: 1\nworkers:\n\t- url: x", "no YAML: line 3: "),
    (b"version: 1\nworkers:\n- &a {url: http://a}\n- *a", "line 4: aliases are not taken"),
    (b"version: 1\nworkers: " + b"[" * 50, "line 2: nested too deeply"),
    (b"version: 1\nworkers:\n- url: http://a\n  id: 7", "$.workers[0].id: Expected `str | null`"),
    (b"version: 1\n--- \nversion: 1", "no YAML: "),
    (b"version: !!python/object:os.system 1", "no YAML: line 1: "),
    (b"\x00", "no YAML: "),
    (b"\xff\xfe\xff", "no YAML: "),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED_YAML)
def test_faults_of_yaml_are_placed_too(data: bytes, reason: str) -> None:
    with pytest.raises(ManifestInvalid) as refusal:
        read_manifest(data, is_yaml=True)

    assert str(refusal.value).startswith(reason)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_whatever_raise_anything_else(data: bytes, is_yaml: bool) -> None:
    try:
        read_manifest(data, is_yaml=is_yaml)
    except ManifestInvalid as error:
        assert str(error)


TEXTS = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=8)


@given(
    st.lists(
        st.tuples(TEXTS, st.integers(1, 65_535)), unique_by=(lambda it: it[0], lambda it: it[1])
    )
)
def test_json_and_yaml_mean_the_same(entries: list[tuple[str, int]]) -> None:
    document = {
        "version": 1,
        "workers": [{"id": name, "url": f"http://a:{port}"} for name, port in entries],
    }

    read = read_manifest(json.dumps(document).encode())

    assert read == read_manifest(yaml.safe_dump(document).encode(), is_yaml=True)
    assert list(read) == [name for name, _ in entries]
