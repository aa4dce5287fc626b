"""The planner: whatever happens, one plan later the workers are those that are wanted."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.discovery import DiscoveredWorker, Mark, Plan, plan

Desired = dict[str, DiscoveredWorker]

HOSTS = st.sampled_from(["a", "b", "c", "d"])


def worker(host: str, *, instance: str = "", port: int | None = None) -> DiscoveredWorker:
    url = f"http://{host}:1"
    return DiscoveredWorker(id=host, url=url, instance=instance, bootstrap_port=port)


@st.composite
def snapshots(draw: st.DrawFn) -> Desired:
    hosts = draw(st.sets(HOSTS))
    made = [
        worker(
            host,
            instance=draw(st.sampled_from(["", "x", "y"])),
            port=draw(st.sampled_from([None, 1, 2])),
        )
        for host in sorted(hosts)
    ]
    return {each.url: each for each in made}


def carried_out(there: Mapping[str, DiscoveredWorker], todo: Plan) -> Desired:
    """A fleet that does as it is told, and minds what cannot be done."""
    after = dict(there)
    for url in todo.removed:
        del after[url]
    for each in todo.changed:
        assert after[each.url].instance == each.instance
        after[each.url] = each
    for each in todo.added:
        assert each.url not in after
        after[each.url] = each
    return after


def marks(there: Mapping[str, DiscoveredWorker]) -> dict[str, Mark]:
    return {url: Mark.of(each) for url, each in there.items()}


@given(st.lists(snapshots(), min_size=1, max_size=8))
def test_any_sequence_of_snapshots_ends_in_exactly_the_last(sequence: list[Desired]) -> None:
    there: Desired = {}
    for desired in sequence:
        there = carried_out(there, plan(marks(there), desired))

    assert there == sequence[-1]


@given(snapshots(), snapshots(), st.sets(HOSTS))
def test_losses_in_between_are_made_up_for(first: Desired, second: Desired, lost: set[str]) -> None:
    there = {url: each for url, each in first.items() if each.id not in lost}

    assert carried_out(there, plan(marks(there), second)) == second


@given(snapshots())
def test_what_is_as_it_should_be_is_left_alone(desired: Desired) -> None:
    assert plan(marks(desired), desired) == Plan()


def test_a_worker_that_differs_is_changed_in_place() -> None:
    after = worker("a", port=9)

    todo = plan(marks({"http://a:1": worker("a")}), {"http://a:1": after})

    assert todo == Plan(changed=(after,))


def test_another_instance_at_the_same_url_is_a_new_worker() -> None:
    after = worker("a", instance="second")

    todo = plan(marks({"http://a:1": worker("a", instance="first")}), {"http://a:1": after})

    assert todo == Plan(removed=("http://a:1",), added=(after,))


def test_the_fingerprint_covers_all_that_is_said_of_a_worker() -> None:
    plain = DiscoveredWorker(id="a", url="http://a")
    others = [
        DiscoveredWorker(id="b", url="http://a"),
        DiscoveredWorker(id="a", url="http://b"),
        DiscoveredWorker(id="a", url="http://a", worker_type="decode"),
        DiscoveredWorker(id="a", url="http://a", bootstrap_port=1),
        DiscoveredWorker(id="a", url="http://a", model_id="m"),
        DiscoveredWorker(id="a", url="http://a", kv_connector="m"),
        DiscoveredWorker(id="a", url="http://a", kv_role="m"),
        DiscoveredWorker(id="a", url="http://a", kv_engine_id="m"),
        DiscoveredWorker(id="a", url="http://a", instance="m"),
        DiscoveredWorker(id="a", url="http://a", labels=(("m", "m"),)),
    ]

    assert len({each.fingerprint for each in [plain, *others]}) == 11
    assert DiscoveredWorker(id="a", url="http://a").fingerprint == plain.fingerprint


def test_a_worker_becomes_a_specification_with_its_origin_in_the_labels() -> None:
    found = DiscoveredWorker(
        id="p-0",
        url="http://a:1",
        worker_type="prefill",
        bootstrap_port=8998,
        model_id="llama",
        kv_connector="NixlConnector",
        kv_role="kv_producer",
        kv_engine_id="e-0",
        labels=(("smg.ai/pod-name", "p"),),
    )

    spec = found.spec("file")

    assert spec.url == "http://a:1"
    assert spec.worker_type == "prefill"
    assert spec.bootstrap_port == 8998
    assert [card.id for card in spec.cards()] == ["llama"]
    assert (spec.kv_connector, spec.kv_role, spec.kv_engine_id) == (
        "NixlConnector",
        "kv_producer",
        "e-0",
    )
    assert spec.labels == {
        "smg.ai/pod-name": "p",
        "served_model_name": "llama",
        "smg.ai/discovery-provider": "file",
        "smg.ai/discovery-id": "p-0",
        "smg.ai/discovery-spec-hash": found.fingerprint,
    }
