"""Renders the model card from the templates in `templates/` as one HTML file without external resources.

All values are escaped. A template that uses an undefined variable is an error.
"""

from base64 import b64encode
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["render"]


def render(template: str, views: Mapping[str, object]) -> bytes:
    """Render a template; return the page, encoded as UTF-8.

    Parameters
    ----------
    template : name of a file in `templates/`.
    views : variables of the template: name -> value.
    """
    return _build_environment().get_template(template).render(views).encode()


def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "data_uri": _data_uri,
        "percent": _percent,
        "share": _share,
        "thousands": _thousands,
    }
    return environment


def _data_uri(png: bytes) -> str:
    """Return a picture as a data URI for the `src` of an `img` element."""
    return "data:image/png;base64," + b64encode(png).decode()


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"


def _thousands(count: int) -> str:
    return f"{count:,}"
