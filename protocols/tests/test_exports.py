"""The public names, frozen: a new one is a decision, not an accident."""

import smg_protocols


def test_the_door_shows_these_names() -> None:
    assert smg_protocols.__all__ == (
        "Dialect",
        "Intake",
        "RequestInvalid",
        "check_anthropic_version",
        "read_intake",
    )


def test_every_public_name_is_documented() -> None:
    for name in smg_protocols.__all__:
        assert getattr(smg_protocols, name).__doc__, name
