from typing import Any

import msgspec
import pytest
from smg_mock_worker.errors import Flavour, RequestRefused, Surface, encode_refusal

DETAIL = {"message": "no", "type": "NotFoundError", "param": "model", "code": 404}


@pytest.mark.parametrize(
    ("flavour", "surface", "body"),
    [
        (Flavour.SGLANG, Surface.OPENAI, {"object": "error", **DETAIL}),
        (Flavour.VLLM, Surface.OPENAI, {"error": DETAIL}),
        (Flavour.SGLANG, Surface.NATIVE, {"error": {"message": "no"}}),
        (Flavour.VLLM, Surface.NATIVE, {"error": DETAIL}),
        (
            Flavour.SGLANG,
            Surface.ANTHROPIC,
            {"type": "error", "error": {"type": "not_found_error", "message": "no"}},
        ),
    ],
)
def test_each_engine_and_api_words_an_error_its_own_way(
    flavour: Flavour, surface: Surface, body: dict[str, Any]
) -> None:
    refusal = RequestRefused(404, "no", param="model")

    assert msgspec.json.decode(encode_refusal(refusal, flavour, surface)) == body


def test_an_unlisted_status_counts_as_internal() -> None:
    refusal = RequestRefused(599, "odd")

    openai = msgspec.json.decode(encode_refusal(refusal, Flavour.VLLM, Surface.OPENAI))
    anthropic = msgspec.json.decode(encode_refusal(refusal, Flavour.VLLM, Surface.ANTHROPIC))

    assert openai["error"]["type"] == "InternalServerError"
    assert anthropic["error"]["type"] == "api_error"
