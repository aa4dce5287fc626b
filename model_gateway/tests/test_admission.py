"""Request ids and the data-plane key."""

from __future__ import annotations

import pytest
from smg_gateway.admission import DataPlaneKeys, RequestIds
from smg_gateway.admission.keys import MISSING_KEY, WRONG_KEY

IDS = RequestIds(lambda: "r" * 24)


def test_the_first_header_present_wins() -> None:
    fields = {b"x-trace-id": b"t", b"x-correlation-id": b"c", b"request-id": b"r"}
    assert IDS.choose(fields, "req-") == "c"


@pytest.mark.parametrize(
    "value", [b"", b"a b", b"a" * 129, b"\xc3\xa4", b"tab\t", b"line\r\nx-evil: 1", b"\x7f"]
)
def test_an_unusable_id_is_replaced_and_not_looked_for_elsewhere(value: bytes) -> None:
    fields = {b"x-request-id": value, b"x-trace-id": b"fine"}
    assert IDS.choose(fields, "chatcmpl-") == "chatcmpl-" + "r" * 24


def test_the_header_list_can_be_replaced() -> None:
    ids = RequestIds(lambda: "new", [b"x-mine"])
    assert ids.choose({b"x-request-id": b"a", b"x-mine": b"b"}, "req-") == "b"
    assert ids.choose({b"x-request-id": b"a"}, "req-") == "req-new"


@pytest.mark.parametrize(
    ("authorization", "refusal"),
    [
        (None, MISSING_KEY),
        (b"", MISSING_KEY),
        (b"Basic abc", MISSING_KEY),
        (b"Bearer", MISSING_KEY),
        (b"Bearer wrong", WRONG_KEY),
        (b"Bearer key2", WRONG_KEY),
        (b"Bearer key", None),
        (b"bEaReR key", None),
    ],
)
def test_only_the_right_bearer_token_opens(authorization: bytes | None, refusal: object) -> None:
    fields = {} if authorization is None else {b"authorization": authorization}
    assert DataPlaneKeys("key").check(fields) is refusal


def test_an_x_api_key_header_is_no_credential_here() -> None:
    assert DataPlaneKeys("key").check({b"x-api-key": b"key"}) is MISSING_KEY


def test_without_a_key_everything_is_open() -> None:
    assert DataPlaneKeys(None).check({}) is None
