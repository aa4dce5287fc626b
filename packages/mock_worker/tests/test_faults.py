import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.faults import (
    AddLatency,
    AnswerGarbage,
    AnswerStatus,
    CloseMidStream,
    DrawnFault,
    Fault,
    Faults,
    FlapHealth,
    Hang,
    OverstateLength,
    ResetConnection,
    ResetMidStream,
    StallMidStream,
    UnderstateLength,
)

CHAT = ("POST", "/v1/chat/completions")
NOTHING = DrawnFault(0.0, None)


def test_without_rules_nothing_goes_wrong() -> None:
    assert Faults().draw(*CHAT) == NOTHING


def test_a_rule_without_a_path_spares_health_checks_and_load_polls() -> None:
    faults = Faults()
    faults.add(Hang())

    assert faults.draw("GET", "/health") == faults.draw("GET", "/v1/loads") == NOTHING
    assert faults.draw(*CHAT).fault == Hang()


def test_a_path_selects_requests_of_any_method_by_prefix() -> None:
    faults = Faults()
    faults.add(Hang(path="/v1/"))

    assert faults.draw("GET", "/v1/models").fault == Hang(path="/v1/")
    assert faults.draw("POST", "/generate") == NOTHING


def test_a_rule_with_a_count_is_spent_after_so_many_hits() -> None:
    faults = Faults()
    faults.add(ResetConnection(count=2))

    drawn = [faults.draw(*CHAT).fault is not None for _ in range(4)]

    assert drawn == [True, True, False, False]
    assert len(faults) == 0


def test_the_first_rule_that_hits_wins() -> None:
    faults = Faults()
    faults.add(AnswerStatus(code=503, count=1), Hang())

    assert faults.draw(*CHAT).fault == AnswerStatus(code=503, count=1)
    assert faults.draw(*CHAT).fault == Hang()


def test_latencies_add_up_in_front_of_the_fault() -> None:
    faults = Faults()
    faults.add(AddLatency(seconds=0.25), AddLatency(seconds=0.5), Hang(), AddLatency(seconds=9))

    assert faults.draw(*CHAT) == DrawnFault(0.75, Hang())


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_the_same_seed_draws_the_same_faults(probability: float, seed: int) -> None:
    def outcomes() -> list[bool]:
        faults = Faults(seed)
        faults.add(Hang(probability=probability))
        return [faults.draw(*CHAT).fault is not None for _ in range(50)]

    assert outcomes() == outcomes()


def test_probability_decides_how_often_a_rule_hits() -> None:
    faults = Faults(seed=1)
    faults.add(Hang(probability=0.25))

    hits = sum(faults.draw(*CHAT).fault is not None for _ in range(1_000))

    assert 200 < hits < 300
    faults.clear()
    faults.add(Hang(probability=0.0))
    assert faults.draw(*CHAT) == NOTHING


def test_a_rule_that_misses_by_chance_is_not_used_up() -> None:
    faults = Faults(seed=1)
    faults.add(Hang(probability=0.1, count=3))

    hits = sum(faults.draw(*CHAT).fault is not None for _ in range(1_000))

    assert hits == 3


def test_flapping_health_follows_its_pattern_over_and_over() -> None:
    faults = Faults()
    faults.add(FlapHealth(pattern=[True, False, False]))

    statuses = [faults.draw("GET", "/health").fault for _ in range(6)]

    assert [status is None for status in statuses] == [True, False, False] * 2
    assert faults.draw(*CHAT) == NOTHING


def test_clearing_lifts_every_rule() -> None:
    faults = Faults()
    faults.add(Hang(), ResetConnection())

    assert list(faults) == [Hang(), ResetConnection()]
    faults.clear()
    assert list(faults) == []


@pytest.mark.parametrize(
    ("json", "fault"),
    [
        (
            '{"kind":"status","code":503,"headers":{"Retry-After":"1"},"count":2}',
            AnswerStatus(code=503, headers={"Retry-After": "1"}, count=2),
        ),
        ('{"kind":"latency","seconds":0.5}', AddLatency(seconds=0.5)),
        ('{"kind":"hang","path":"/v1/","probability":0.5}', Hang(path="/v1/", probability=0.5)),
        ('{"kind":"reset"}', ResetConnection()),
        ('{"kind":"reset_mid_stream","after_chunks":3}', ResetMidStream(after_chunks=3)),
        ('{"kind":"close_mid_stream"}', CloseMidStream()),
        ('{"kind":"stall_mid_stream"}', StallMidStream()),
        ('{"kind":"content_length_over","by_bytes":9}', OverstateLength(by_bytes=9)),
        ('{"kind":"content_length_under"}', UnderstateLength()),
        ('{"kind":"garbage","text":"?"}', AnswerGarbage(text="?")),
        ('{"kind":"flap_health","pattern":[false]}', FlapHealth(pattern=[False])),
    ],
)
def test_faults_are_written_as_json(json: str, fault: Fault) -> None:
    decoder: msgspec.json.Decoder[Fault] = msgspec.json.Decoder(Fault)

    assert decoder.decode(json) == fault
    assert decoder.decode(msgspec.json.encode(fault)) == fault


@pytest.mark.parametrize(
    "json",
    [
        '{"kind":"nonsense"}',
        '{"kind":"hang","sometimes":true}',
        '{"kind":"hang","probability":1.5}',
        '{"kind":"hang","count":0}',
        '{"kind":"status","code":99}',
        '{"kind":"latency","seconds":-1}',
        '{"kind":"reset_mid_stream","after_chunks":-1}',
        '{"kind":"content_length_over","by_bytes":0}',
        '{"kind":"content_length_under","by_bytes":0}',
        '{"kind":"flap_health","pattern":[]}',
    ],
)
def test_faults_that_make_no_sense_are_rejected(json: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.Decoder(Fault).decode(json)
