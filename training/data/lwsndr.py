"""Imports LWSNDR, a dataset of labelled recordings of pairs of motes by Suthaharan et al. (ISSNIP 2010).

S. Suthaharan, M. Alzahrani, S. Rajasegarar, C. Leckie, M. Palaniswami, "Labelled data collection for anomaly
detection in wireless sensor networks". A file holds the readings of one mote, with the columns reading
number, mote, humidity, temperature, label. Readings of two motes with the same number were taken at the same
time. Label 1 marks an artificial event (steam), which a healthy sensor measures correctly. It is therefore
imported as the column `event`, not as a fault.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from monitor.core.errors import InvalidInputError
from monitor.recordings.bounds import check_file
from training.data.recordings import NORMAL_LABEL

__all__ = ["DEFAULT_START", "JoinedRecording", "join_motes"]

SAMPLE_PERIOD_S = 5.0
# The files have no timestamps. This is the day on which the multi-hop recordings were made. The hour is
# chosen so that the six hours of falling temperature in them are plausible.
DEFAULT_START = datetime.fromisoformat("2010-07-10T12:00:00+00:00")

_MAX_BYTES = 1 << 30  # the files of the dataset have 0.2 MB; a file is read as a whole
_COLUMNS = ["number", "mote", "humidity", "temperature", "event"]


class JoinedRecording(NamedTuple):
    """A recording joined from the files of two motes."""

    frame: pd.DataFrame
    """Columns: `ts`, `group`, the features, `label` (1 in all rows), `event` (1 if either mote has an
    event)."""
    unmatched_count: int
    """Number of readings whose reading number is in only one of the two files."""


def join_motes(mote_a: Path, mote_b: Path, group: str | None, start: datetime) -> JoinedRecording:
    """Join the files of two motes by reading number.

    Parameters
    ----------
    mote_a, mote_b : the files; `temperature_1` and `humidity_1` are read from the first, `temperature_2` and
        `humidity_2` from the second.
    group : the name of the group; None for `lwsndr/motes<a>-<b>`, with the mote numbers from the files.
    start : time of reading number 1.

    Raises
    ------
    InvalidInputError : a file is not an LWSNDR file, or the two files have no reading number in common.
    """
    first, second = _read(mote_a), _read(mote_b)
    joined = first.merge(second, on="number", suffixes=("_1", "_2")).sort_values("number")
    if joined.empty:
        raise InvalidInputError(f"{mote_a} and {mote_b} have no reading number in common")
    motes = f"{first['mote'].iloc[0]}-{second['mote'].iloc[0]}"
    frame = pd.DataFrame(
        {
            "ts": start.timestamp() + (joined["number"] - 1) * SAMPLE_PERIOD_S,
            "group": group or f"lwsndr/motes{motes}",
            "temperature_1": joined["temperature_1"],
            "humidity_1": joined["humidity_1"],
            "temperature_2": joined["temperature_2"],
            "humidity_2": joined["humidity_2"],
            "label": NORMAL_LABEL,
            "event": joined[["event_1", "event_2"]].max(axis=1),
        }
    )
    return JoinedRecording(frame, len(first) + len(second) - 2 * len(joined))


def _read(path: Path) -> pd.DataFrame:
    try:
        check_file(path, _MAX_BYTES)
        frame = pd.read_csv(
            path, sep=r"\s+", skiprows=1, header=None, names=_COLUMNS, index_col=False, compression=None
        )
        frame = frame.astype(
            {"number": int, "mote": int, "humidity": float, "temperature": float, "event": int}
        )
    except OSError as error:
        raise InvalidInputError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValueError as error:  # a wrong number of columns, or a cell that is not a number
        first_line = str(error).splitlines()[0]
        raise InvalidInputError(
            f"{path}: is not an LWSNDR file ({first_line}); expected a header and rows of "
            "reading number, mote, humidity, temperature, label"
        ) from error
    if frame.empty or frame["number"].duplicated().any():
        raise InvalidInputError(f"{path}: is not an LWSNDR file; expected rows with distinct reading numbers")
    return frame
