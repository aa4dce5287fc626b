"""Which token ids end an answer."""

from collections.abc import Mapping


def eos_token_ids(*configurations: Mapping[str, object]) -> tuple[int, ...]:
    """The union of `eos_token_id` (a number or a list) over a model's configurations, sorted.

    Negative numbers, booleans and anything that is no number are left out.
    """
    found: set[int] = set()
    for configuration in configurations:
        value = configuration.get("eos_token_id")
        values = value if isinstance(value, list) else [value]
        found.update(
            item
            for item in values
            if isinstance(item, int) and not isinstance(item, bool) and item >= 0
        )
    return tuple(sorted(found))
