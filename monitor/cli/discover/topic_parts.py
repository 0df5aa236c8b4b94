"""Takes topics apart: what is the same for all of a kind, what names the device, what names the feature."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from monitor.cli.discover.words import GENERIC_WORDS, Words

__all__ = ["Piece", "PlaceWords", "Slot", "TopicParts", "take_apart"]

PlaceWords = Literal["none", "words", "numbers"]
"""What in a topic says which of several sensors it is: nothing, words such as `top`, the last number too."""

Slot = tuple[int, int]
"""A piece of a topic: index of the level, index of the piece in it."""


class Piece(NamedTuple):
    """A part of a level of a topic."""

    kind: Literal["fixed", "device", "feature"]
    text: str


@dataclass(frozen=True, slots=True)
class TopicParts:
    """A topic, taken apart."""

    levels: tuple[tuple[Piece, ...], ...]
    place: float | None
    """Rank of the sensor's place, if the topic says it."""

    @property
    def pattern(self) -> tuple[tuple[str, ...], ...]:
        """What the topics of a kind have in common: kinds of the pieces, and the text of fixed ones."""
        return tuple(
            tuple(piece.text if piece.kind == "fixed" else f"{{{piece.kind}}}" for piece in level)
            for level in self.levels
        )

    @property
    def slots(self) -> list[Slot]:
        """The pieces that name the device."""
        return [
            (number, index)
            for number, level in enumerate(self.levels)
            for index, piece in enumerate(level)
            if piece.kind == "device"
        ]

    def text(self, slot: Slot) -> str:
        """Return the text of a piece."""
        return self.levels[slot[0]][slot[1]].text

    def template(self, names: dict[Slot, str]) -> str:
        """Return the topic with `{name}` in place of some pieces."""
        return "/".join(
            "".join(
                f"{{{names[number, index]}}}" if (number, index) in names else piece.text
                for index, piece in enumerate(level)
            )
            for number, level in enumerate(self.levels)
        )


def take_apart(topic: str, words: Words, place_words: PlaceWords, *, names_quantity: bool) -> TopicParts:
    """Take a topic apart.

    Parameters
    ----------
    names_quantity : whether the topic names the quantity, so that the words for it aren't the device's.
    """
    levels = topic.split("/")
    quantity_level = -1
    if names_quantity:
        quantity_level = next(n for n in reversed(range(len(levels))) if words.quantity(levels[n]))
    device_levels = [n for n, level in enumerate(levels) if level.lower() not in GENERIC_WORDS]
    parts: list[tuple[Piece, ...]] = []
    place: float | None = None
    for number, level in enumerate(levels):
        if number not in device_levels and number != quantity_level:
            parts.append((Piece("fixed", level),))
            continue
        spans: list[tuple[int, int]] = []
        if number == quantity_level or place_words != "none":
            numbers = place_words == "numbers" and number == device_levels[-1]
            spans = words.spans(level, numbers=numbers)
            found = words.place(level, numbers=numbers)
            place = place if found is None else found
        parts.append(tuple(_split(level, spans)))
    return TopicParts(tuple(parts), place)


def _split(level: str, spans: list[tuple[int, int]]) -> list[Piece]:
    """Return the pieces of a level; separators belong to the feature's words beside them."""
    marks = ["device"] * len(level)
    for start, end in spans:
        marks[start:end] = ["feature"] * (end - start)
    for index, character in enumerate(level):
        neighbours = marks[max(0, index - 1) : index + 2]
        if not character.isalnum() and "feature" in neighbours:
            marks[index] = "feature"
    pieces: list[Piece] = []
    for mark, character in zip(marks, level, strict=True):
        if pieces and pieces[-1].kind == mark:
            pieces[-1] = Piece(pieces[-1].kind, pieces[-1].text + character)
        else:
            pieces.append(Piece("feature" if mark == "feature" else "device", character))
    return pieces or [Piece("fixed", level)]
