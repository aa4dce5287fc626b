from typing import Any

import msgspec
import pytest
from smg_mock_worker.tool_calls import example_value, plan_tool_call, tool_answer

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 3, "maximum": 3},
        "unit": {"enum": ["C", "F"]},
    },
}


def test_a_call_fills_every_property_of_the_schema() -> None:
    call = plan_tool_call("weather", WEATHER, [1, 2, 3])

    assert call.name == "weather"
    assert list(call.arguments) == ["city", "days", "unit"]
    assert isinstance(call.arguments["city"], str)
    assert call.arguments["days"] == 3
    assert call.arguments["unit"] in {"C", "F"}


def test_the_call_follows_from_the_prompt() -> None:
    assert plan_tool_call("f", WEATHER, [1]) == plan_tool_call("f", WEATHER, [1])
    assert plan_tool_call("f", WEATHER, [1]).id != plan_tool_call("f", WEATHER, [2]).id


def test_the_answer_spells_the_arguments_as_json() -> None:
    call = plan_tool_call("weather", WEATHER, [1, 2, 3])

    assert msgspec.json.decode("".join(tool_answer(call).tokens)) == call.arguments


@pytest.mark.parametrize("schema", [None, {}, {"type": "string"}, {"type": "object"}])
def test_a_tool_without_properties_is_called_without_arguments(
    schema: dict[str, Any] | None,
) -> None:
    assert plan_tool_call("ping", schema, [1]).arguments == {}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"], "minimum": 12.5}, 13),
        ({"type": "number", "maximum": -2}, -2.0),
        ({"type": "array"}, []),
        ({"type": "array", "items": {"type": "boolean"}}, [False]),
        ({"anyOf": [{"const": "a"}, {"const": "b"}]}, "a"),
        ({"properties": {"x": {"const": 1}}}, {"x": 1}),
        ({"type": []}, None),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    assert example_value(schema, seed=4) == value


def test_an_endless_schema_comes_to_an_end() -> None:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"again": schema}
    deep: dict[str, Any] = {}
    deep["anyOf"] = [deep]

    assert isinstance(example_value(schema, seed=1), dict)
    assert example_value(deep, seed=1) is None
