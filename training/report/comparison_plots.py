"""Plot of the comparison of classifiers."""

from collections.abc import Sequence

import numpy as np

from training.evaluate.comparison_table import ComparisonTable
from training.report.figures import BLUE, VERMILION, panel, png

__all__ = ["draw_classifier_f1"]

# Colour, marker and vertical offset of each split. The offset keeps equal points from hiding each other.
_SPLIT_STYLES = ((BLUE, "o", -0.12), (VERMILION, "s", 0.12))


def draw_classifier_f1(tables: Sequence[ComparisonTable]) -> bytes:
    """Plot the F1 score of class Faulty for each classifier and split; return a PNG file."""
    names = [result.name for result in tables[0].results]
    figure, axes = panel("F1 of Faulty on the test part", (8, 0.5 * len(names) + 1.6))
    for table, (colour, marker, offset) in zip(tables, _SPLIT_STYLES, strict=False):
        f1 = [result.quality.f1 or 0.0 for result in table.results]
        positions = np.arange(len(names)) + offset
        axes.plot(f1, positions, marker, color=colour, markersize=9, label=f"split: {table.split}")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="F1", xlim=(min(0.5, axes.get_xlim()[0]), 1.01))
    figure.legend(loc="outside lower center", ncols=len(tables))
    return png(figure)
