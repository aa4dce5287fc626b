import subprocess
import sys

import pytest
import smg_mock_worker


def test_the_door_offers_exactly_these_names() -> None:
    assert smg_mock_worker.__all__ == (
        "AddLatency",
        "AnswerGarbage",
        "AnswerStatus",
        "CloseMidStream",
        "Engine",
        "EngineEvent",
        "EngineLoad",
        "EngineRequest",
        "EngineTiming",
        "Fault",
        "Faults",
        "Finished",
        "FlapHealth",
        "Flavour",
        "Hang",
        "LoadOverride",
        "MockWorker",
        "Outcome",
        "OverstateLength",
        "PrefixCache",
        "QueueFull",
        "RecordedRequest",
        "RequestLog",
        "RequestState",
        "ResetConnection",
        "ResetMidStream",
        "StallMidStream",
        "TokenProduced",
        "UnderstateLength",
    )


def test_every_name_is_there_and_documented() -> None:
    for name in smg_mock_worker.__all__:
        assert getattr(smg_mock_worker, name).__doc__, name


def test_names_are_listed_before_they_are_loaded() -> None:
    assert set(smg_mock_worker.__all__) <= set(dir(smg_mock_worker))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'smg_mock_worker' has no attribute 'Gone'"):
        smg_mock_worker.Gone  # noqa: B018 - looking it up is the test


def test_the_engine_model_alone_does_not_load_the_server() -> None:
    check = (
        "import sys; from smg_mock_worker import Engine, EngineTiming; "
        "print({'aiohttp', 'asyncio', 'socket'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
