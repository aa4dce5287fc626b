"""From pods to workers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from smg_gateway.discovery import DiscoveredWorker, Pod, PodRules, read_pod

RULES = PodRules(roles=(("regular", (("app", "engine"),)),), port=8000)
PAIRED = PodRules(
    roles=(
        ("encode", (("app", "engine"), ("role", "encode"))),
        ("prefill", (("app", "engine"), ("role", "prefill"))),
        ("decode", (("app", "engine"), ("role", "decode"))),
    ),
    port=8000,
)


def read(described: dict[str, Any], rules: PodRules = RULES) -> tuple[list[str], list[str]]:
    """URLs and complaints."""
    reading = read_pod(msgspec.convert(described, Pod), rules)
    return [worker.url for worker in reading.workers], reading.complaints


def workers(described: dict[str, Any], rules: PodRules = RULES) -> tuple[DiscoveredWorker, ...]:
    reading = read_pod(msgspec.convert(described, Pod), rules)
    assert not reading.complaints
    return reading.workers


def test_a_pod_that_serves_is_a_worker_at_its_address(pod: Any) -> None:
    assert workers(pod()) == (
        DiscoveredWorker(
            id="uid-engine-0:8000",
            url="http://10.0.0.1:8000",
            instance="uid-engine-0",
            labels=(("smg.ai/pod-name", "engine-0"), ("smg.ai/pod-uid", "uid-engine-0")),
        ),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "Pending"},
        {"phase": "Succeeded"},
        {"ready": "False"},
        {"ready": "Unknown"},
        {"deleted": True},
        {"ip": None},
        {"labels": {"app": "other"}},
        {"labels": {}},
    ],
    ids=str,
)
def test_a_pod_that_does_not_serve_is_none(pod: Any, change: dict[str, Any]) -> None:
    assert read(pod(**change)) == ([], [])


def test_a_pod_without_status_is_none(pod: Any) -> None:
    described = pod()
    del described["status"]

    assert read(described) == ([], [])


def test_a_pod_without_a_readiness_condition_is_none(pod: Any) -> None:
    described = pod()
    del described["status"]["conditions"]

    assert read(described) == ([], [])


def test_an_ipv6_address_stands_in_brackets(pod: Any) -> None:
    assert read(pod(ip="fd00:0::1")) == (["http://[fd00::1]:8000"], [])


@pytest.mark.parametrize("address", ["engine-0", "10.0.0.256", "fe80::1%eth0"])
def test_what_is_no_address_is_complained_about(pod: Any, address: str) -> None:
    assert read(pod(ip=address)) == ([], [f"{address!r} is no IP address"])


def test_a_pod_with_several_ports_is_several_workers(pod: Any) -> None:
    found = workers(pod(annotations={"smg.ai/worker-ports": "8001, 8002,8001"}))

    assert [(worker.id, worker.url) for worker in found] == [
        ("uid-engine-0:8001", "http://10.0.0.1:8001"),
        ("uid-engine-0:8002", "http://10.0.0.1:8002"),
    ]


@pytest.mark.parametrize("text", ["", "0", "65536", "8000,", "http", "-1", "\u0668\u0660"])
def test_ports_that_are_none_leave_the_usual_one(pod: Any, text: str) -> None:
    urls, complaints = read(pod(annotations={"smg.ai/worker-ports": text}))

    assert urls == ["http://10.0.0.1:8000"]
    assert complaints == [f"smg.ai/worker-ports {text!r} lists no ports, 8000 is taken"]


@pytest.mark.parametrize("role", ["encode", "prefill", "decode"])
def test_labels_say_what_kind_of_worker_a_pod_is(pod: Any, role: str) -> None:
    (found,) = workers(pod(labels={"app": "engine", "role": role}), PAIRED)

    assert found.worker_type == role


def test_a_pod_with_the_labels_of_no_role_is_none(pod: Any) -> None:
    assert read(pod(labels={"app": "engine", "role": "router"}), PAIRED) == ([], [])


BOOTSTRAP = [
    ("8998", "8000,8001", [8998, 8998]),
    ("8998,8999", "8000,8001", [8998, 8999]),
]


@pytest.mark.parametrize(("text", "ports", "expected"), BOOTSTRAP)
def test_bootstrap_ports_belong_to_worker_ports(
    pod: Any, text: str, ports: str, expected: list[int]
) -> None:
    notes = {"smg.ai/worker-ports": ports, "sglang.ai/bootstrap-port": text}
    prefills = workers(pod(labels={"app": "engine", "role": "prefill"}, annotations=notes), PAIRED)
    decodes = workers(pod(labels={"app": "engine", "role": "decode"}, annotations=notes), PAIRED)

    assert [worker.bootstrap_port for worker in prefills] == expected
    assert [worker.bootstrap_port for worker in decodes] == [None, None]


@pytest.mark.parametrize("text", ["8998,8999,9000", "none", "0"])
def test_bootstrap_ports_that_do_not_fit_are_left_out(pod: Any, text: str) -> None:
    notes = {"smg.ai/worker-ports": "1,2", "sglang.ai/bootstrap-port": text}
    reading = read_pod(
        msgspec.convert(pod(labels={"app": "engine", "role": "prefill"}, annotations=notes), Pod),
        PAIRED,
    )

    assert [worker.bootstrap_port for worker in reading.workers] == [None, None]
    assert reading.complaints == [f"sglang.ai/bootstrap-port {text!r} does not fit 2 worker ports"]


def test_annotations_tell_how_caches_are_handed_over(pod: Any) -> None:
    notes = {
        "smg.ai/worker-ports": "1,2",
        "smg.ai/kv-connector": " NixlConnector ",
        "smg.ai/kv-engine-id": "a, b",
    }

    found = workers(pod(annotations=notes))

    assert [(worker.kv_connector, worker.kv_engine_id) for worker in found] == [
        ("NixlConnector", "a"),
        ("NixlConnector", "b"),
    ]


@pytest.mark.parametrize("text", ["a", "a,a", "a,"])
def test_engine_ids_that_do_not_fit_are_left_out(pod: Any, text: str) -> None:
    notes = {"smg.ai/worker-ports": "1,2", "smg.ai/kv-engine-id": text}
    reading = read_pod(msgspec.convert(pod(annotations=notes), Pod), RULES)

    assert [worker.kv_engine_id for worker in reading.workers] == [None, None]
    assert reading.complaints == [f"smg.ai/kv-engine-id {text!r} does not name 2 different engines"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, None),
        ("namespace", "team-a"),
        ("label:model", "llama"),
        ("annotation:example.com/model", "org/llama"),
        ("label:none", None),
        ("annotation:none", None),
    ],
)
def test_the_model_may_be_named_by_the_pod(
    pod: Any, source: str | None, expected: str | None
) -> None:
    described = pod(
        namespace="team-a",
        labels={"app": "engine", "model": "llama"},
        annotations={"example.com/model": "org/llama"},
    )
    rules = PodRules(roles=RULES.roles, model_id_from=source)

    assert [worker.model_id for worker in workers(described, rules)] == [expected]


def test_the_server_is_asked_only_for_pods_that_may_have_a_role() -> None:
    mixed = PodRules(roles=(("prefill", (("a", "1"),)), ("decode", (("b", "1"),))))

    assert RULES.label_selector == "app=engine"
    assert PAIRED.label_selector == "app=engine,role in (decode,encode,prefill)"
    assert mixed.label_selector == ""
