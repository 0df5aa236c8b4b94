"""Initialisers of the weights as text: a name, of two of them with parameters; one for all layers or each."""

import re
from typing import Any

__all__ = ["INITIALIZERS", "PARAMETERS", "parse_call", "parse_initializer", "split_texts"]

INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_normal",
    "he_uniform",
    "zeros",
    "ones",
    "random_normal",
    "random_uniform",
)

PARAMETERS = {"random_normal": ("mean", "stddev"), "random_uniform": ("minval", "maxval")}
"""Initialiser with parameters -> their names, in order, as in Keras. Its defaults: mean 0 and standard
deviation 0.05, or -0.05 to 0.05."""

_CALL = re.compile(r"(\w+)\s*(?:\(([^()]*)\))?")


def parse_call(text: str) -> tuple[str, tuple[float, ...]]:
    """Split `random_normal(0.0, 0.1)` into name and parameters; without parentheses there are no parameters.

    Raises
    ------
    ValueError : the text has another form.
    """
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} has no such form as random_normal(0.0, 0.1)")
    name, parameters = match.groups()
    return name, () if parameters is None else tuple(float(part) for part in parameters.split(","))


def parse_initializer(text: str, further_names: tuple[str, ...] = ()) -> str:
    """Check an initialiser, and return it in its usual form, such as `random_normal(0, 0.1)`.

    Parameters
    ----------
    further_names : names that are allowed beside those in `INITIALIZERS`.

    Raises
    ------
    ValueError : there is no such initialiser, or it has other parameters.
    """
    names = (*INITIALIZERS, *further_names)
    expected = f"must be one of {', '.join(names)}; random_normal and random_uniform may have two parameters"
    try:
        name, parameters = parse_call(text)
    except ValueError:
        raise ValueError(expected) from None
    if name not in names or len(parameters) not in {0, len(PARAMETERS.get(name, ()))}:
        raise ValueError(expected)
    if not parameters:
        return name
    first, second = parameters
    if not (abs(first) < float("inf") and abs(second) < float("inf")):
        raise ValueError(f"{text}: parameters must be finite")
    if name == "random_normal" and second < 0:
        raise ValueError(f"{text}: the standard deviation must be at least 0")
    if name == "random_uniform" and second < first:
        raise ValueError(f"{text}: the second parameter must not be below the first")
    return f"{name}({first:g}, {second:g})"


def split_texts(value: Any) -> Any:
    """Convert to a tuple where there are several: text with commas outside of parentheses, or a list."""
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in re.split(r",(?![^()]*\))", value))
    return parts if len(parts) > 1 else value
