"""What the names of fields, topics and tags say: the quantity, the place of the sensor, the unit."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["GENERIC_WORDS", "Label", "Words", "natural_key", "split_words"]

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_SYNONYMS = {
    "temperature": ("temperature", "temp", "temps", "tmp", "temperatur", "t"),
    "humidity": ("humidity", "hum", "humid", "rh", "feuchte", "humidite", "h"),
    "pressure": ("pressure", "press", "druck", "pressao", "pression"),
    "vibration": ("vibration", "vib", "velocity", "vrms", "schwingung"),
    "current": ("current", "amps", "ampere", "amperes", "strom"),
    "voltage": ("voltage", "volt", "volts", "spannung"),
    "flow": ("flow", "flowrate", "durchfluss", "debit"),
    "level": ("level", "fill", "fuellstand", "niveau"),
    "co2": ("co", "carbondioxide"),
    "light": ("light", "illuminance", "lux", "helligkeit"),
}
"""Quantity -> words for it, in names of a bundle's features -> in names of the plant."""

_PLACES = {
    **dict.fromkeys(("top", "upper", "in", "inlet", "inside", "indoor", "left", "front", "supply"), 0.0),
    **dict.fromkeys(("north", "west", "first", "a", "above"), 0.0),
    **dict.fromkeys(("middle", "mid", "center", "centre"), 0.5),
    **dict.fromkeys(("bottom", "lower", "out", "outlet", "outside", "outdoor", "right", "rear"), 1.0),
    **dict.fromkeys(("south", "east", "second", "b", "below", "back", "return"), 1.0),
    **dict.fromkeys(("de", "inboard"), 0.0),  # the drive end of a machine's shaft, and the other
    **dict.fromkeys(("nde", "outboard"), 1.0),
}
"""Word for a sensor's place -> its rank among the sensors of one quantity."""

# Values with such a word in their name are of the same quantity and not what a sensor of the plant measures.
_OTHER_WORDS = frozenset({
    "dew", "dewpoint", "point", "setpoint", "target", "cpu", "chip", "board", "core", "device", "min",
    "max", "avg", "mean", "calibration", "offset", "unit", "units", "feels", "heat", "index",
    "threshold", "alarm", "battery", "color", "colour", "trend", "id",
})  # fmt: skip
_OTHER_PARENTS = frozenset({"cpu", "chip", "battery", "setpoint", "target", "processor"})
"""The same in the part of the name before."""
GENERIC_WORDS = frozenset({
    "sensor", "sensors", "state", "status", "tele", "stat", "up", "event", "events", "device",
    "devices", "rpc", "application", "reading", "readings", "data", "telemetry", "v1", "v2", "v3",
    "shellies", "zigbee2mqtt", "homeassistant", "statestream", "measurement", "measurements", "value",
    "values", "me", "attributes", "gateway", "spbv1.0", "mqtt", "json", "telegraf", "$aws", "things",
    "shadow", "update", "documents", "iotgateway",
})  # fmt: skip
"""Levels of topics that are the same for all devices of a kind."""

_FAHRENHEIT_WORDS = frozenset({"f", "fahrenheit", "degf"})
_NOT_A_NUMBER_RANK = -1.0


@dataclass(frozen=True, slots=True)
class Label:
    """What a name says about a value."""

    quantity: str
    place: float | None
    """Rank of the sensor's place among the sensors of the quantity; None: the name doesn't say."""
    rest: str
    """The name without the words for quantity and place."""
    is_fahrenheit: bool = False


def split_words(text: str) -> list[tuple[str, int, int]]:
    """Return the words of a name in lower case with their start and end, such as temp, top of `TempTop`."""
    return [(match[0].lower(), match.start(), match.end()) for match in _WORD.finditer(text)]


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts names with numbers in the order of the numbers."""
    words = split_words(text)
    return tuple((int(word), "") if word.isdecimal() else (-1, word) for word, _, _ in words)


class Words:
    """Knows the words for the quantities of a bundle.

    Parameters
    ----------
    quantities : what the bundle's features measure.
    """

    def __init__(self, quantities: Iterable[str]) -> None:
        self._quantity_by_word = {
            word: quantity
            for quantity in quantities
            for word in (*_SYNONYMS.get(quantity, ()), *quantity.lower().split("_"))
        }

    def quantity(self, text: str) -> str | None:
        """Return the quantity that a part of a name stands for; None if it stands for none."""
        words = [word for word, _, _ in split_words(text)]
        if _is_other(text):
            return None
        for word in reversed(words):
            if word in self._quantity_by_word and (len(word) > 1 or _is_short(words)):
                return self._quantity_by_word[word]
        return None

    def spans(self, text: str, *, numbers: bool) -> list[tuple[int, int]]:
        """Return start and end of the words for a quantity and a place, in the order of the text.

        Parameters
        ----------
        numbers : whether a number at the end of the text is a place, though no quantity is beside it.
        """
        words = split_words(text)
        found = []
        for index, (word, start, end) in enumerate(words):
            is_place = word in _PLACES and (len(word) > 1 or _stands_alone(text, start, end))
            is_number = word.isdecimal() and (
                self._numbers_quantity(text, words, index) or (numbers and index == len(words) - 1)
            )
            if is_place or is_number or self._is_quantity(word, words):
                found.append((start, end))
        return found

    def place(self, text: str, *, numbers: bool = False) -> float | None:
        """Return the rank of the sensor's place that a part of a name says; None if it says none."""
        ranks = [
            float(word) if word.isdecimal() else _PLACES.get(word, _NOT_A_NUMBER_RANK)
            for word in (text[start:end].lower() for start, end in self.spans(text, numbers=numbers))
        ]
        return next((rank for rank in reversed(ranks) if rank != _NOT_A_NUMBER_RANK), None)

    def label(self, parts: Sequence[str]) -> Label | None:
        """Return what a name, given in parts, says; None if no part stands for a quantity.

        The last part with a quantity counts: of `fields.temperature.value` that is `temperature`.
        """
        index = next((n for n in reversed(range(len(parts))) if self.quantity(parts[n])), None)
        if index is None or any(map(_is_other, parts[index + 1 :])):
            return None
        if index and not _OTHER_PARENTS.isdisjoint(word for word, _, _ in split_words(parts[index - 1])):
            return None
        quantity = self.quantity(parts[index])
        place = next((p for part in reversed(parts) if (p := self.place(part)) is not None), None)
        words = {word for part in parts[index:] for word, _, _ in split_words(part)}
        rest = "/".join(filter(None, map(self._without_spans, parts)))
        return Label(quantity or "", place, rest, bool(words & _FAHRENHEIT_WORDS))

    def _numbers_quantity(self, text: str, words: Sequence[tuple[str, int, int]], index: int) -> bool:
        """Return whether a number belongs to the quantity beside it: `temp1`, `1_temp`, not `rack3_temp`."""
        if index and self._is_quantity(words[index - 1][0], words):
            return True
        start = words[index][1]
        is_own_word = start == 0 or not text[start - 1].isalnum()
        is_before = index + 1 < len(words) and self._is_quantity(words[index + 1][0], words)
        has_number_behind = index + 2 < len(words) and words[index + 2][0].isdecimal()
        return is_before and is_own_word and not has_number_behind

    def _is_quantity(self, word: str, words: Sequence[tuple[str, int, int]]) -> bool:
        return word in self._quantity_by_word and (
            len(word) > 1 or _is_short([other for other, _, _ in words])
        )

    def _without_spans(self, text: str) -> str:
        for start, end in reversed(self.spans(text, numbers=False)):
            text = text[:start] + text[end:]
        return text.strip("_-.: ")


def _is_short(words: Sequence[str]) -> bool:
    """Return whether a name is so short that a single letter stands for a quantity: `t1`, `h_top`, `tC`."""
    return all(len(word) == 1 or word.isdecimal() or word in _PLACES for word in words)


def _is_other(text: str) -> bool:
    return not _OTHER_WORDS.isdisjoint(word for word, _, _ in split_words(text))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether a letter is a word: `rack_a`, `TempA`, but not the B of `DS18B20`."""
    is_first = start == 0 or not text[start - 1].isalnum() or (text[start].isupper() and end == len(text))
    return is_first and (end == len(text) or not text[end].isalnum()) and len(text) > 1
