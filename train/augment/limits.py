"""Check of the strengths of changes to training clips against their limits."""

from collections.abc import Mapping


def check_limits(section: str, strengths: object, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for a field of `strengths`, a section of a recipe, that is beyond its limits."""
    for name, (lowest, highest) in limits.items():
        value = getattr(strengths, name)
        if not lowest <= value <= highest:
            raise ValueError(f"{section}.{name} must be between {lowest} and {highest}, got {value!r}.")
