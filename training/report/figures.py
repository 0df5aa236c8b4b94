"""Colours, figure creation and conversion to PNG, shared by all plot modules.

Figures are drawn without pyplot, so they need no display. People with colour blindness can distinguish the
colours: the palette of Okabe and Ito, and the colour map cividis for heat maps. Curves also differ in line
style or position.
"""

import io

from matplotlib import rcdefaults
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = ["BLUE", "GREY", "VERMILION", "new_figure", "panel", "png"]

# On import matplotlib takes settings from a file `matplotlibrc` in the current folder, whoever put it there.
rcdefaults()

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
_DPI = 100
# Inches around each panel, twice matplotlib's default, with which a label touched that of the next panel.
_PAD = 0.09


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file; equal figures give equal bytes."""
    file = io.BytesIO()
    # "tight": the constrained layout leaves the label of an axis with a fixed aspect partly outside.
    figure.savefig(
        file, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.1, metadata={"Software": None}
    )
    return file.getvalue()


def new_figure(size: tuple[float, float]) -> Figure:
    """Create an empty figure with room between its panels; `size` is width and height in inches."""
    return Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD))


def panel(title: str, size: tuple[float, float], *, grid: bool = True) -> tuple[Figure, Axes]:
    """Create a figure with one `Axes`.

    Parameters
    ----------
    size : width and height in inches.
    grid : whether to draw a grid behind the data.
    """
    figure = new_figure(size)
    axes = figure.subplots()
    axes.set_title(title)
    if grid:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure, axes
