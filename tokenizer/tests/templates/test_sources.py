"""Which of several templates is used, and what else may stand in a template file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from smg_tokenizer.errors import TemplateInvalid
from smg_tokenizer.renderers import DeepSeekV4Renderer, KimiK3Renderer
from smg_tokenizer.templates import ChatRenderer, RenderOptions, load_chat_renderer

USER = [{"role": "user", "content": "q"}]


def load(
    directory: Path,
    configured: object = None,
    *,
    backend: Literal["huggingface", "tiktoken"] = "huggingface",
    chat_template: Path | None = None,
) -> ChatRenderer | None:
    return load_chat_renderer(
        directory,
        special_tokens={},
        backend=backend,
        tokenizer_config={} if configured is None else {"chat_template": configured},
        chat_template=chat_template,
    )


def rendered(renderer: ChatRenderer | None, **options: Any) -> str:
    assert renderer is not None
    return renderer.render(USER, RenderOptions(**options))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "chat_template.jinja").write_text("JINJA")
    (tmp_path / "chat_template.json").write_text('{"chat_template": "JSON"}')
    (tmp_path / "another.jinja").write_text("OTHER")
    return tmp_path


def test_the_template_named_by_the_caller_comes_first(model: Path) -> None:
    named = model / "another.jinja"
    assert rendered(load(model, "CONFIG", chat_template=named)) == "OTHER"


def test_a_template_file_comes_before_the_configuration(model: Path) -> None:
    assert rendered(load(model, "CONFIG")) == "JINJA"
    (model / "chat_template.jinja").unlink()
    assert rendered(load(model, "CONFIG")) == "JSON"


def test_a_stray_file_is_used_when_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "my.jinja").write_text("STRAY")
    assert rendered(load(tmp_path, "CONFIG")) == "CONFIG"
    assert rendered(load(tmp_path)) == "STRAY"


def test_with_tiktoken_files_the_configuration_comes_first(model: Path) -> None:
    assert rendered(load(model, "CONFIG", backend="tiktoken")) == "CONFIG"
    assert rendered(load(model, backend="tiktoken")) == "JINJA"


def test_a_model_without_template_has_no_renderer(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "missing") is None


def test_a_text_file_is_trimmed_and_its_written_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("\n  A\\nB {{ messages[0].content }}  \n")
    assert rendered(load(tmp_path)) == "A\nB q"


@pytest.mark.parametrize("text", ['"WHOLE"', '{"chat_template": "WHOLE"}'])
def test_a_json_file_holds_a_text_or_an_object_with_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "chat_template.json").write_text(text)
    assert rendered(load(tmp_path)) == "WHOLE"


@pytest.mark.parametrize("text", ["{}", "[1]", "{", '{"chat_template": 3}', "\\xff"])
def test_a_json_file_without_template_is_told_when_it_is_used(text: str, tmp_path: Path) -> None:
    path = tmp_path / "chat_template.json"
    path.write_bytes(text.encode().replace(b"\\xff", b"\xff"))
    renderer = load(tmp_path)
    with pytest.raises(TemplateInvalid):
        rendered(renderer)
    with pytest.raises(TemplateInvalid):
        load(tmp_path, chat_template=path)


def test_a_broken_template_leaves_the_tokenizer_usable(tmp_path: Path) -> None:
    renderer = load(tmp_path, "{% if %}")
    assert renderer is not None
    assert renderer.content_format == "string"
    with pytest.raises(TemplateInvalid, match="line 1"):
        rendered(renderer)


def test_a_named_template_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateInvalid, match="can not be read"):
        load(tmp_path, chat_template=tmp_path / "none.jinja")


def test_of_several_templates_the_one_for_tools_is_used_with_tools(tmp_path: Path) -> None:
    several = [
        {"name": "default", "template": "DEFAULT {% if thinking %}{% endif %}"},
        {"name": "tool_use", "template": "TOOLS"},
        {"name": "rag", "template": "RAG"},
    ]
    renderer = load(tmp_path, several)
    assert rendered(renderer) == "DEFAULT "
    assert rendered(renderer, tools=[{"type": "function"}]) == "TOOLS"
    assert renderer is not None
    assert renderer.thinking_key == "thinking"
    assert rendered(load(tmp_path, several[:1]), tools=[{}]) == "DEFAULT "
    assert load(tmp_path, several[1:]) is None


def test_the_architecture_chooses_a_renderer_written_in_code(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architectures": ["DeepseekV4ForCausalLM"]}))
    assert isinstance(load(tmp_path, "CONFIG"), DeepSeekV4Renderer)
    assert rendered(load(tmp_path, "CONFIG", backend="tiktoken")) == "CONFIG"
    config.write_text(json.dumps({"model_type": "kimi_k3"}))
    assert isinstance(load(tmp_path, "CONFIG", backend="tiktoken"), KimiK3Renderer)
    assert rendered(load(tmp_path, "CONFIG")) == "CONFIG"


@pytest.mark.parametrize("text", ["{", "[]", '{"architectures": 3}', '{"architectures": [1]}'])
def test_a_broken_configuration_chooses_the_template(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert rendered(load(tmp_path, "CONFIG")) == "CONFIG"


def test_an_explicit_template_replaces_the_renderer_written_in_code(model: Path) -> None:
    (model / "config.json").write_text(json.dumps({"architectures": ["DeepseekV4ForCausalLM"]}))
    assert rendered(load(model, chat_template=model / "another.jinja")) == "OTHER"
