"""A page of HTML in one file: pictures inside, everything escaped, nothing fetched from anywhere."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Picture", "bullets", "page", "paragraph", "picture", "section", "table", "tiles", "warning"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #f3f5f7; --line: #d4d9df;
  --quiet: #57606a; --warn: #fff4d6; --edge: #b25e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --paper: #14181c; --soft: #1f252b;
  --line: #3a424b; --quiet: #a3adb7; --warn: #3a2c0c; --edge: #ffb454; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; } .quiet, figcaption { color: var(--quiet); font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; font-size: .92rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; } th { font-weight: 600; }
figure { margin: 1rem 0; } figure img { display: block; max-width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; padding: .4rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.tiles li { flex: 1 1 8.5rem; background: var(--soft); border: 1px solid var(--line); border-radius: 6px;
  padding: .6rem .8rem; } .tiles b { display: block; font-size: 1.5rem; line-height: 1.2; }
.warning { background: var(--warn); border-left: 4px solid var(--edge); padding: .6rem .9rem;
  border-radius: 4px; }
code { font-size: .92em; }
"""
# Whatever slips past the escaping, a browser then fetches and runs nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with what it shows."""

    png: bytes
    alt: str
    """For who can't see it."""
    caption: str


def page(title: str, subtitle: str, sections: Sequence[str]) -> bytes:
    """Return the whole page; the sections are HTML, the rest is text."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        # Without it, a browser asks for /favicon.ico.
        f'<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f'<header><h1>{escape(title)}</h1><p class="quiet">{escape(subtitle)}</p></header>\n<main>\n'
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    ).encode()


def section(title: str, *parts: str) -> str:
    """Return a heading with what stands below it; empty parts are left out."""
    name = title.lower().replace(" ", "-")
    inside = "\n".join(part for part in parts if part)
    return f'<section id="{escape(name)}">\n<h2>{escape(title)}</h2>\n{inside}\n</section>'


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def warning(text: str) -> str:
    """Return a paragraph that nobody overlooks."""
    return f'<p class="warning"><strong>Note.</strong> {escape(text)}</p>'


def bullets(lines: Sequence[str]) -> str:
    """Return a list of plain text."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; the first cell of a row names it. Without a head where that is empty."""
    columns = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    thead = f"<thead><tr>{columns}</tr></thead>\n" if header else ""
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="wide"><table>\n{thead}<tbody>\n{body}</tbody></table></div>'


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Return large values with their names below."""
    items = "".join(f"<li><b>{escape(value)}</b>{escape(name)}</li>" for value, name in values)
    return f'<ul class="tiles">{items}</ul>'


def picture(image: Picture) -> str:
    """Return a picture that is part of the page."""
    source = "data:image/png;base64," + b64encode(image.png).decode()
    alt, caption = escape(image.alt), escape(image.caption)
    return f'<figure><img src="{source}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'
