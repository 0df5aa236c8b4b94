"""JSON objects as payloads: msgspec types built from the features and their paths in the payload."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import GenericAlias
from typing import Any

import msgspec

__all__ = ["TS", "build_payload_type", "resolve_paths"]

TS = "ts"

PathTree = dict[str, "PathTree | str"]


def resolve_paths(features: Sequence[str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the dotted path in the payload of each feature and of `ts`.

    Parameters
    ----------
    features : the feature names in order.
    fields : feature or `ts` -> dotted path, for those whose path is not their own name.

    Raises
    ------
    ValueError : `fields` has a key that is no feature, or two paths collide.
    """
    unknown = sorted(set(fields) - {*features, TS})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no feature of the bundle; expected {', '.join([*features, TS])}")
    paths = {name: fields.get(name, name) for name in [*features, TS]}
    _build_tree(paths)
    return paths


def build_payload_type(
    paths: Mapping[str, str], features: Sequence[str]
) -> tuple[Any, Any, Callable[[Any], tuple[Any, ...]]]:
    """Build the types to decode a payload with.

    Decoding into a type is several times as fast as looking up keys in decoded dictionaries, accepts only
    numbers as numbers, and gives error messages that name the wrong value and its place.

    Parameters
    ----------
    paths : feature or `ts` -> dotted path, from `resolve_paths`.
    features : the feature names in order.

    Returns
    -------
    reading_type : msgspec struct type of one reading.
    payload_type : type of a payload: one reading, or an array of readings.
    to_row : function that returns `ts` and the features of a decoded reading, in this order.
    """
    order = (TS, *features)
    reading_type, attributes = _build_struct(_build_tree({name: paths[name] for name in order}), "payload")
    payload_type = reading_type | GenericAlias(list, (reading_type,))
    attribute_paths = tuple(attributes[name] for name in order)
    if attribute_paths == reading_type.__struct_fields__:  # no path is nested
        # `astuple` takes 0.03 µs per reading, `attrgetter` 0.08 µs.
        return reading_type, payload_type, msgspec.structs.astuple
    return reading_type, payload_type, attrgetter(*attribute_paths)


def _build_tree(paths: Mapping[str, str]) -> PathTree:
    """Return the dotted paths as a tree whose leaves are the names."""
    root: PathTree = {}
    for name, path in paths.items():
        *parents, last = path.split(".")
        node = root
        for parent in parents:
            inner = node.setdefault(parent, {})
            if isinstance(inner, str):
                raise ValueError(  # noqa: TRY004, a setting of the right type with an impossible value
                    f"{path!r} for {name!r} goes through the value of {inner!r}"
                )
            node = inner
        if not all([*parents, last]):
            raise ValueError(f"{path!r} for {name!r} is no dotted path: it has an empty part")
        existing = node.get(last)
        if existing is not None:
            other = "a table of values" if isinstance(existing, dict) else repr(existing)
            raise ValueError(f"{path!r} would stand for {name!r} and for {other}")
        node[last] = name
    return root


def _build_struct(tree: PathTree, title: str) -> tuple[Any, dict[str, str]]:
    """Return a struct type for one level of the tree, and the attribute path in it of each name."""
    fields: list[Any] = []
    rename: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for number, (key, node) in enumerate(tree.items()):
        attribute = f"f{number}"  # a key of the payload need not be a valid Python name
        rename[attribute] = key
        if isinstance(node, dict):
            inner, nested = _build_struct(node, key)
            fields.append((attribute, inner))
            attributes |= {name: f"{attribute}.{path}" for name, path in nested.items()}
        elif node == TS:
            fields.append((attribute, float | str | msgspec.UnsetType, msgspec.UNSET))
            attributes[node] = attribute
        else:
            fields.append((attribute, float))
            attributes[node] = attribute
    return msgspec.defstruct(title, fields, rename=rename, kw_only=True, gc=False), attributes
