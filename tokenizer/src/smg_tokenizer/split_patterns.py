"""Which pre-tokenizers the fast engine can imitate, and by what pattern.

The engine takes one pattern and drops what it does not match. So a pattern must match every
character, and a chain of splits must become one alternation.
"""

from collections.abc import Mapping, Sequence
from typing import Final

_CONTRACTIONS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"

CL100K: Final = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2: Final = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
O200K: Final = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    rf"{_CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}]+"
    rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{_CONTRACTIONS}?|\p{{N}}{{1,3}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_KIMI_UPPER: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_KIMI_LOWER: Final = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
KIMI: Final = (
    r"[\p{Han}]+"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_KIMI_UPPER}*{_KIMI_LOWER}+{_CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_KIMI_UPPER}+{_KIMI_LOWER}*{_CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_DEEPSEEK_CJK: Final = "一-龥\u3040-ゟ゠-ヿ"
_DEEPSEEK_GENERAL: Final = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
    "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
)
_DEEPSEEK_SPLITS: Final = (
    r"\p{N}{1,3}",
    f"[{_DEEPSEEK_CJK}]+",
    _DEEPSEEK_GENERAL,
)
# The third split sees only the pieces that the first two leave: no digits and no CJK, and a piece
# ends where these begin, so white space before them counts as the end of a text. Characters that
# it does not match (controls, unassigned ones) stay together up to where it matches again.
_NO_CJK: Final = f"&&[^{_DEEPSEEK_CJK}]"
_DEEPSEEK_LETTERS: Final = rf"[\p{{L}}\p{{M}}{_NO_CJK}]"
DEEPSEEK: Final = (
    rf"\p{{N}}{{1,3}}|[{_DEEPSEEK_CJK}]+"
    r"""|[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    rf"|[^\r\n\p{{L}}\p{{P}}\p{{S}}\p{{N}}{_DEEPSEEK_CJK}]?{_DEEPSEEK_LETTERS}+"
    rf"| ?[\p{{P}}\p{{S}}{_NO_CJK}]+[\r\n]*|\s*[\r\n]+"
    rf"|\s+(?![^\s\p{{N}}{_DEEPSEEK_CJK}])|\s+"
    rf"|(?:[^\s\p{{L}}\p{{M}}\p{{N}}\p{{P}}\p{{S}}{_DEEPSEEK_CJK}](?!{_DEEPSEEK_LETTERS}))+"
)

_CHAINS: Final[Mapping[tuple[str, ...], str]] = {_DEEPSEEK_SPLITS: DEEPSEEK}


def engine_pattern(pre_tokenizer: object) -> str | None:
    """The one pattern that cuts a text as `pre_tokenizer` (of a tokenizer.json) does, or None.

    The last step has to turn bytes into the byte-level alphabet.
    """
    steps = _steps(pre_tokenizer)
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    if steps[-1].get("use_regex", True):
        return GPT2 if len(steps) == 1 else None
    if len(steps) == 1:
        return r"(?s:.+)"
    patterns = tuple(map(_split_pattern, steps[:-1]))
    known = _CHAINS.get(tuple(pattern or "" for pattern in patterns))
    if known is not None:
        return known
    if len(patterns) == 1 and patterns[0] is not None and matches_every_character(patterns[0]):
        return patterns[0]
    return None


def matches_every_character(pattern: str) -> bool:
    """Whether a split pattern's alternatives cover all characters: letters, digits, the rest and
    white space. False where that cannot be read off the pattern."""
    alternatives = pattern.split("|")
    letters = any(r"\p{L}" in part or r"\p{Lo}" in part for part in alternatives)
    digits = any(part.strip(" ?").startswith(r"\p{N}") for part in alternatives)
    rest = any(part.startswith(r" ?[^\s\p{L}\p{N}]+") for part in alternatives)
    return letters and digits and rest and alternatives[-1] in {r"\s+", r"\s"}


def _steps(pre_tokenizer: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(pre_tokenizer, dict):
        return ()
    if pre_tokenizer.get("type") == "Sequence":
        return tuple(pre_tokenizer.get("pretokenizers") or ())
    return (pre_tokenizer,)


def _split_pattern(step: Mapping[str, object]) -> str | None:
    """A Split's regular expression, if it keeps the matches as pieces of their own."""
    pattern = step.get("pattern")
    if step.get("type") != "Split" or not isinstance(pattern, dict):
        return None
    keeps = (step.get("behavior"), bool(step.get("invert")))
    # Matches everything, so it is all the same what happens to the text between matches.
    if keeps not in {("Isolated", False), ("Removed", True)}:
        return None
    regex = pattern.get("Regex")
    return regex if isinstance(regex, str) else None
