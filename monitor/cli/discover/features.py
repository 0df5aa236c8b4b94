"""Proposes features for a plant that doesn't send those of the bundle."""

from collections.abc import Iterator, Sequence

from monitor.bundle.manifest import Feature
from monitor.cli.discover.candidates import Candidate, find_candidates
from monitor.cli.discover.groups import find_clusters
from monitor.cli.discover.survey import Survey
from monitor.cli.discover.toml_text import to_toml
from monitor.cli.discover.words import Words
from monitor.core.quantity_defaults import QUANTITY_DEFAULTS

__all__ = ["find_features", "known_words", "write_features"]

# A group rarely has more sensors of a quantity side by side.
_MAX_SENSORS = 4


def known_words(quantities: Sequence[str]) -> Words:
    """Return the words for quantities of a bundle and for all whose sensors are known."""
    return Words(dict.fromkeys([*quantities, *QUANTITY_DEFAULTS]))


def find_features(survey: Survey) -> list[Feature]:
    """Return the features that most groups have; empty if no values are alike in several groups or places.

    Quantities that a group has one sensor of count only if there is none with more: a value without a
    neighbour is often the device's own, such as the voltage of its battery.
    """
    words = Words(QUANTITY_DEFAULTS)
    candidates = find_candidates(survey, words)
    quantities = sorted({candidate.label.quantity for candidate in candidates})
    sizes = {
        quantity: max(
            range(1, _MAX_SENSORS + 1),
            key=lambda size: (_count_groups(candidates, words, _names(quantity, size)) * size, -size),
        )
        for quantity in quantities
    }
    compared = [quantity for quantity in quantities if sizes[quantity] > 1] or quantities
    compared.sort(key=lambda quantity: list(QUANTITY_DEFAULTS).index(quantity))
    chosen: list[str] = []
    for quantity in compared:  # those that the groups of the first have too
        names = [name for other in [*chosen, quantity] for name in _names(other, sizes[other])]
        if _count_groups(candidates, words, names):
            chosen.append(quantity)
    return [
        Feature(name, QUANTITY_DEFAULTS[quantity].unit)
        for quantity in chosen
        for name in _names(quantity, sizes[quantity])
    ]


def write_features(features: Sequence[Feature]) -> Iterator[str]:
    """Yield the features as TOML."""
    for feature in features:
        yield "[[features]]"
        yield f"name = {to_toml(feature.name)}"
        yield f"unit = {to_toml(feature.unit)}  # decide: is it?"
        yield ""


def _names(quantity: str, sensors: int) -> list[str]:
    return [f"{quantity}_{number}" for number in range(1, sensors + 1)]


def _count_groups(candidates: Sequence[Candidate], words: Words, names: Sequence[str]) -> int:
    """Return the number of groups that have all of these features, and no other value of their quantities."""
    return sum(len(cluster.complete) for cluster in find_clusters(candidates, words, names))
