"""Prints how long one look at a request body takes: `python benches/intake.py`.

Microseconds per body, best of several rounds; the second column is the bare decode of the same
bytes into untyped objects by the same library, for comparison.
"""

import json
import timeit
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from smg_protocols import Dialect, RequestInvalid, read_intake

ROUNDS = 7


def best_us(run: Callable[[], object]) -> float:
    """Return the fewest microseconds that one call of `run` took on average."""
    timer = timeit.Timer(run)
    count, _ = timer.autorange()
    return min(timer.repeat(ROUNDS, count)) / count * 1e6


def conversation(turns: int, words: int) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[turn % 2], "content": "word " * words + "."} for turn in range(turns)]


def schema(members: int) -> dict[str, Any]:
    member = {"type": "string", "description": "what it means " * 5}
    return {"type": "object", "properties": {f"member_{at}": member for at in range(members)}}


def bodies() -> dict[str, tuple[Dialect, Any]]:
    sampling = {"temperature": 0.7, "max_tokens": 256, "stream": True, "top_p": 0.9}
    system = {"role": "system", "content": "You are a helpful assistant. " * 18}
    user = {"role": "user", "content": "Tell me about prefix caches. " * 19}
    functions = [{"name": f"tool_{at}", "description": "d" * 200} for at in range(20)]
    chat_tools = [
        {"type": "function", "function": {**function, "parameters": schema(8)}}
        for function in functions
    ]
    message_tools = [{**function, "input_schema": schema(8)} for function in functions]
    response_tools = [
        {"type": "function", **function, "parameters": schema(8)} for function in functions
    ]
    return {
        "chat, two messages": (
            Dialect.CHAT,
            {"model": "m", "messages": [system, user], **sampling},
        ),
        "chat, 100 messages": (
            Dialect.CHAT,
            {"model": "m", "messages": conversation(100, 200), **sampling},
        ),
        "chat, 20 tools": (
            Dialect.CHAT,
            {"model": "m", "messages": [system, user], "tools": chat_tools, **sampling},
        ),
        "chat, refused": (
            Dialect.CHAT,
            {"model": "m", "messages": [system, user], "temperature": 3},
        ),
        "completions, short": (
            Dialect.COMPLETIONS,
            {"model": "m", "prompt": "word " * 200, **sampling},
        ),
        "completions, long": (
            Dialect.COMPLETIONS,
            {"model": "m", "prompt": "word " * 20_000, **sampling},
        ),
        "generate, 4,000 ids": (
            Dialect.GENERATE,
            {"input_ids": list(range(4_000)), "sampling_params": {"max_new_tokens": 16}},
        ),
        "messages, two": (
            Dialect.MESSAGES,
            {"model": "m", "max_tokens": 64, "system": system["content"], "messages": [user]},
        ),
        "messages, 100 and 20 tools": (
            Dialect.MESSAGES,
            {
                "model": "m",
                "max_tokens": 64,
                "messages": conversation(100, 200),
                "tools": message_tools,
            },
        ),
        "responses, two items": (
            Dialect.RESPONSES,
            {"model": "m", "input": [system, user], "stream": True},
        ),
        "responses, 100 and 20 tools": (
            Dialect.RESPONSES,
            {"model": "m", "input": conversation(100, 200), "tools": response_tools},
        ),
    }


def look(dialect: Dialect, body: bytes) -> None:
    with suppress(RequestInvalid):
        read_intake(dialect, body, content_type=b"application/json")


def main() -> None:
    print(f"{'body':<30}{'bytes':>9}{'intake us':>12}{'untyped us':>12}")
    for name, (dialect, content) in bodies().items():
        body = json.dumps(content).encode()
        intake_us = best_us(partial(look, dialect, body))
        untyped_us = best_us(partial(msgspec.json.decode, body))
        print(f"{name:<30}{len(body):>9,}{intake_us:>12.1f}{untyped_us:>12.1f}")


if __name__ == "__main__":
    main()
