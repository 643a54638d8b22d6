"""Tables for the terminal, and reports in one file: Markdown or HTML, with the plots inside."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

from .io import atomic_path, atomic_write

__all__ = ["curve", "table", "write_picture", "write_report"]


def table(rows, columns=None):
    """Plain text: a list of dicts as aligned columns, numbers to the right."""
    if not rows:
        return "(nothing)"
    columns = columns or list(rows[0])
    cells = [[_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    right = [all(isinstance(row.get(c), (int, float, type(None))) for row in rows) for c in columns]
    lines = [[c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right)] for line in [columns, *cells]]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def curve(title, x, series, *, xlabel, ylabel):
    """A matplotlib Figure of {name: values} over x."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'sparsecore[plot]'") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in series.items():
        axes.plot(x, values, marker="o", label=name)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def write_picture(path, figure):
    """Save a Figure, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def write_report(path, title, sections):
    """Write `sections` to a .md or .html file, whole or not at all.

    sections: [(heading, content)], content a text, a list of dicts (shown as a table) or a matplotlib Figure (inside
    the file, so the report can be sent on its own). ValueError for another suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".md", ".html"):
        raise ValueError(f"{path}: a report is a .md or .html file")
    write = _markdown if suffix == ".md" else _html
    atomic_write(path, [write(title, sections).encode()])


def _markdown(title, sections):
    parts = [f"# {title}"]
    for heading, content in sections:
        parts.append(f"## {heading}")
        if isinstance(content, str):
            parts.append(content)
        elif isinstance(content, list):
            columns = list(content[0]) if content else []
            lines = [columns, ["---"] * len(columns), *([_cell(row.get(c)) for c in columns] for row in content)]
            parts.append("\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines))
        else:
            parts.append(f"![{heading}]({_data_uri(content)})")
    return "\n\n".join(parts) + "\n"


def _html(title, sections):
    escaped = html.escape(title)
    parts = [f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escaped}</title>"
             f"<style>{_STYLE}</style></head><body><h1>{escaped}</h1>"]
    for heading, content in sections:
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        if isinstance(content, str):
            parts.append(f"<p>{html.escape(content)}</p>")
        elif isinstance(content, list):
            columns = list(content[0]) if content else []
            head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
            body = "".join("<tr>" + "".join(f"<td>{html.escape(_cell(row.get(c)))}</td>" for c in columns) + "</tr>"
                           for row in content)
            parts.append(f"<table><tr>{head}</tr>{body}</table>")
        else:
            parts.append(f"<img alt='{html.escape(heading)}' src='{_data_uri(content)}'>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


_STYLE = ("body{font:16px/1.5 system-ui;max-width:60em;margin:2em auto;padding:0 1em}td,th{padding:.2em .8em;"
          "text-align:right;border-bottom:1px solid #ddd}table{border-collapse:collapse}img{max-width:100%}")


def _data_uri(figure):
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, (tuple, list)):
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
