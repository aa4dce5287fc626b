"""A language model small enough to be made by a test: two layers, random weights, own tokenizer.

It talks nonsense, always the same for the same prompt, and it is a real model to a real engine:
Hugging Face files on disk, byte-level BPE, a chat template.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HIDDEN = 64
HEADS = 4
FEED_FORWARD = 128
LAYERS = 2
MAX_VOCABULARY = 384
"""256 bytes, three special tokens, and whatever merges the corpus yields."""
END, USER, ASSISTANT = "<|end|>", "<|user|>", "<|assistant|>"

_CORPUS = (
    "the quiet harbour answers the early sailor before noon",
    "a steady engine repairs the distant bridge every morning",
    "the small library remembers the bright garden once again",
)
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def write_model(folder: Path, mx: Any, tokenizers: Any) -> None:
    """Write the model's files into `folder`; the arguments are `mlx.core` and `tokenizers`."""
    vocabulary = _write_tokenizer(folder, tokenizers)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "intermediate_size": FEED_FORWARD,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "rms_norm_eps": 1e-5,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "eos_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = _weights(mx, vocabulary)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def _weights(mx: Any, vocabulary: int) -> dict[str, Any]:
    shapes = dict.fromkeys(("model.embed_tokens", "lm_head"), (vocabulary, HIDDEN))
    norms = ["model.norm"]
    for layer in (f"model.layers.{number}" for number in range(LAYERS)):
        norms += [f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm"]
        shapes |= {f"{layer}.self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj": (FEED_FORWARD, HIDDEN) for name in ("gate", "up")}
        shapes[f"{layer}.mlp.down_proj"] = (HIDDEN, FEED_FORWARD)
    mx.random.seed(11)
    weights = {f"{name}.weight": mx.random.normal(shape) * 0.2 for name, shape in shapes.items()}
    return weights | {f"{name}.weight": mx.ones((HIDDEN,)) for name in norms}


def _write_tokenizer(folder: Path, tokenizers: Any) -> int:
    """Train it and write its files; returns the size of its vocabulary."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        special_tokens=[END, USER, ASSISTANT],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    size: int = tokenizer.get_vocab_size()
    return size
