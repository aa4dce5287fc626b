"""Log probabilities of the simulated model: made up, but always the same for a token."""

from collections.abc import Sequence
from typing import Any

from smg_mock_worker.tokens import token_id

__all__ = ("chat_logprobs", "text_logprobs", "token_logprob")

_ALTERNATIVES = (" a", " the", " one", " and", " some", " every", " no", " this", " that", " more")


def token_logprob(token: str) -> float:
    """A number in `(-1, 0]`."""
    return -(token_id(token) % 1000) / 1000


def _ranked(token: str, count: int) -> list[tuple[str, float]]:
    """The token and likelier-looking company, `count` of them, best first."""
    best = token_logprob(token)
    others = [other for other in _ALTERNATIVES if other != token]
    company = [(other, best - 0.5 * (rank + 1)) for rank, other in enumerate(others)]
    return [(token, best), *company][:count]


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def chat_logprobs(tokens: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The `logprobs.content` list of a chat choice with `top` alternatives each."""
    return [
        {
            **_entry(token, token_logprob(token)),
            "top_logprobs": [_entry(*pair) for pair in _ranked(token, top)],
        }
        for token in tokens
    ]


def text_logprobs(tokens: Sequence[str], top: int, text_offset: int = 0) -> dict[str, Any]:
    """The `logprobs` object of a text completion; offsets count from `text_offset`."""
    offsets: list[int] = []
    for token in tokens:
        offsets.append(text_offset)
        text_offset += len(token)
    return {
        "tokens": list(tokens),
        "token_logprobs": [token_logprob(token) for token in tokens],
        "top_logprobs": [dict(_ranked(token, top)) for token in tokens] if top else None,
        "text_offset": offsets,
    }
