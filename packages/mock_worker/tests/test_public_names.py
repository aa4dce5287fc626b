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
