"""Values that people write into recipes against the types of the fields that they are for."""

import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin


WORDS = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    dict: "keys and values",
    types.NoneType: "null",
}


def check_kinds(where: str, values: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise ValueError for a value of another type than its field's, and say what is accepted."""
    for name, value in values.items():
        if not fits(value, kinds.get(name, Any)):
            raise ValueError(f"{where}{name} must be {described(kinds[name])}, got {value!r}.")


def fits(value: Any, kind: Any) -> bool:
    """True if a value out of YAML or JSON is of a type; whole numbers are numbers, NaN and infinity are none."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in arguments)
    if origin in (list, Sequence):
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            fits(key, arguments[0]) and fits(one, arguments[1]) for key, one in value.items()
        )
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is int if kind is int else isinstance(value, kind)


def described(kind: Any) -> str:
    """A type in the words of YAML: "a number or null", "a list of texts"."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        told = [one for one in arguments if one is not int or float not in arguments]
        return " or ".join(dict.fromkeys(filter(None, map(described, told))))
    if origin is Literal:
        return " or ".join(str(one).lower() for one in arguments)
    if origin in (list, Sequence):
        return f"a list of {described(arguments[0]).removeprefix('a ')}s"
    if origin is dict:
        return f"keys with {described(arguments[1])} each"
    return WORDS.get(kind, "")
