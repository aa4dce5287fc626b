"""What engines say they are, and what nonsense they may say without harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.workers.metadata import MAX_MODELS, Answers, metadata_of
from smg_gateway.workers.spec import ModelCard, WorkerSpec
from smg_mock_worker import AnswerGarbage, AnswerStatus, MockWorker, OverstateLength

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = (
    "data", "model_path", "served_model_name", "dp_size", "tp_size", "architectures",
    "max_model_len", "version", "is_embedding", "is_generation", "model_type",
)  # fmt: skip
objects = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), anything)


def spec(**fields: Any) -> WorkerSpec:
    return WorkerSpec(url="http://a", **fields)


@given(objects, objects, objects, objects)
def test_no_answer_whatever_breaks_a_registration(
    models: Any, server: Any, model: Any, version: Any
) -> None:
    found = metadata_of(spec(), Answers(models=models, server=server, model=model, version=version))
    assert all(isinstance(name, str) and name for name in found.models)
    assert all(isinstance(value, str) for value in found.labels.values())
    assert found.dp_size >= 1


def test_models_are_named_by_the_operator_then_by_the_list_then_by_the_engine() -> None:
    listed = {"data": [{"id": "listed"}, {"id": "adapter"}]}
    server = {"served_model_name": "served", "model_path": "/path"}
    own = spec(models=[ModelCard(id="own", aliases=["mine"]), "second"])
    assert metadata_of(own, Answers(models=listed, server=server)).models == ("own", "second")
    assert metadata_of(spec(), Answers(models=listed, server=server)).models == (
        "listed",
        "adapter",
    )
    assert metadata_of(spec(), Answers(server=server)).models == ("served",)
    assert metadata_of(spec(), Answers(model={"model_path": "/path"})).models == ("/path",)
    assert metadata_of(spec(), Answers()).models == ()


@pytest.mark.parametrize(
    ("answers", "runtime"),
    [
        (Answers(models={"data": [{"id": "m", "owned_by": "sglang"}]}), "sglang"),
        (Answers(models={"data": [{"id": "m", "owned_by": "vllm"}]}), "vllm"),
        (Answers(models={"data": [{"id": "m", "owned_by": "tensorrt_llm"}]}), "trtllm"),
        (
            Answers(models={"data": [{"id": "m", "owned_by": "me"}]}, server={"tp_size": 1}),
            "sglang",
        ),
        (Answers(models={"data": [{"id": "m"}]}, version={"version": "0.12"}), "vllm"),
        (Answers(models={"data": [{"id": "m"}]}), "generic"),
        (Answers(), "unspecified"),
    ],
)
def test_engines_are_told_apart(answers: Answers, runtime: str) -> None:
    assert metadata_of(spec(), answers).runtime == runtime
    assert metadata_of(spec(runtime_type="mlx"), answers).runtime == "mlx"


def test_lists_and_names_out_of_all_proportion_are_cut() -> None:
    models = {"data": [{"id": f"m{n}"} for n in range(3 * MAX_MODELS)] + [{"id": "x" * 10**6}]}
    assert len(metadata_of(spec(), Answers(models=models)).models) == MAX_MODELS
    assert metadata_of(spec(), Answers(models={"data": [{"id": "x" * 10**6}]})).models == ()
    assert metadata_of(spec(), Answers(server={"version": "x" * 10**6})).labels == {}


def test_an_embedding_engine_is_known_as_one() -> None:
    for answers in (
        Answers(server={"is_embedding": True, "model_path": "e"}),
        Answers(model={"is_generation": False, "model_path": "e"}),
    ):
        (card,) = metadata_of(spec(), answers).cards
        assert card.model_type == ["embeddings"]


@pytest.mark.anyio
async def test_a_vllm_engine_is_described_by_its_list_and_version(start: Any, connect: Any) -> None:
    async with MockWorker(flavour="vllm", model=("base", "adapter")) as engine, start() as running:
        control = connect(running)
        worker_id = await control.add(engine.url)
        _, info = await control.call("GET", f"/workers/{worker_id}")
        assert info["runtime_type"] == "vllm"
        assert [model["id"] for model in info["models"]] == ["base", "adapter"]
        assert info["models"][0]["context_length"] == 32768
        assert info["labels"]["version"] == "0.12.0"
        assert (await control.chat("adapter"))[0] == 200


LIES: list[Any] = [
    AnswerStatus(code=500, path="/server_info"),
    AnswerStatus(code=200, body="[1, 2", path="/server_info"),
    AnswerStatus(code=200, body="[" * 50_000, path="/model_info"),
    AnswerStatus(code=200, body=json.dumps({"dp_size": 10**18}), path="/server_info"),
    AnswerStatus(code=200, body=json.dumps({"data": "all of them"}), path="/v1/models"),
    AnswerStatus(code=200, body=json.dumps([[]]), path="/v1/models"),
    AnswerStatus(code=404, path="/v1/models"),
    AnswerGarbage(path="/server_info"),
    OverstateLength(by_bytes=10, path="/model_info"),
]


@pytest.mark.anyio
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: f"{type(lie).__name__} {lie.path}")
async def test_an_engine_that_talks_nonsense_is_registered_all_the_same(
    start: Any, connect: Any, worker: MockWorker, lie: Any
) -> None:
    worker.faults.add(lie)
    async with start(health_check_timeout_secs=1, dp_aware=True) as running:
        control = connect(running)
        await control.add(worker.url)
        assert (await control.chat("mock-model"))[0] == 200
