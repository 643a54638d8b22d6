"""A list of per-layer facts that knows how to show itself."""
import json
import math

__all__ = ["Report"]


class Report(list):
    """A list of dicts, one per layer (or per layer and level), with the same keys in each.

    ``report[0]`` is a dict; ``report["fc1"]`` is the first entry of that name. ``str(report)`` is a plain table.
    """

    def __getitem__(self, key):
        if isinstance(key, str):
            for entry in self:
                if entry.get("name") == key:
                    return entry
            raise KeyError(f"no layer {key!r} in this report; it has {[e.get('name') for e in self]}")
        found = super().__getitem__(key)
        return Report(found) if isinstance(key, slice) else found

    def columns(self):
        """The keys of all entries, in order of first appearance."""
        return list(dict.fromkeys(key for entry in self for key in entry))

    def total(self, key):
        """Sum of a numeric column; entries without it count as nothing."""
        return sum(entry[key] for entry in self if entry.get(key) is not None)

    def __str__(self):
        columns = self.columns()
        if not columns:
            return "(empty report)"
        rows = [[_cell(entry.get(c)) for c in columns] for entry in self]
        widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
        numeric = [all(not isinstance(e.get(c), str) for e in self) for c in columns]

        def line(cells):
            return "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric)).rstrip()

        return "\n".join([line(columns), "  ".join("-" * w for w in widths), *map(line, rows)])

    def to_json(self, path=None, *, indent=2):
        """The report as JSON text (non-finite numbers become null); written to `path` when one is given."""
        text = json.dumps([{k: _plain(v) for k, v in entry.items()} for entry in self], indent=indent)
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text + "\n")
        return text

    def to_dataframe(self):
        """The report as a pandas.DataFrame, one row per entry."""
        try:
            import pandas
        except ImportError as missing:
            raise ImportError("Report.to_dataframe needs pandas: pip install 'sparsecore[data]'") from missing
        return pandas.DataFrame(list(self), columns=self.columns())

    def plot(self, *, figure=None):
        """A matplotlib Figure: error and bytes by layer, or, for a scan over levels, each curve against sparsity."""
        try:
            from matplotlib.figure import Figure
        except ImportError as missing:
            raise ImportError("Report.plot needs matplotlib: pip install 'sparsecore[plot]'") from missing
        figure = Figure(figsize=(10, 4), layout="constrained") if figure is None else figure
        names = [str(entry.get("name")) for entry in self]
        if len(set(names)) < len(names):
            _plot_levels(self, figure)
        else:
            _plot_layers(self, names, figure)
        return figure


def _plot_layers(report, names, figure):
    left, right = figure.subplots(1, 2)
    position = range(len(names))
    left.bar(position, [entry.get("relative_error") or 0.0 for entry in report])
    left.set_ylabel("relative output error")
    right.bar([p - 0.2 for p in position], [entry.get("bytes_before") or 0 for entry in report], 0.4, label="before")
    right.bar([p + 0.2 for p in position], [entry.get("bytes_after") or 0 for entry in report], 0.4, label="after")
    right.set_ylabel("bytes")
    right.legend()
    for axes in (left, right):
        axes.set_xticks(list(position), names, rotation=45, ha="right")


def _plot_levels(report, figure):
    shown = [key for key in ("relative_error", "accuracy") if any(e.get(key) is not None for e in report)]
    panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
    for axes, key in zip(panels, shown):
        for name in dict.fromkeys(entry["name"] for entry in report):
            points = [(e["sparsity"], e[key]) for e in report if e["name"] == name and e.get(key) is not None]
            axes.plot(*zip(*sorted(points)), marker="o", label=str(name))
        axes.set_xlabel("share of zeros")
        axes.set_ylabel(key.replace("_", " "))
        axes.legend()


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, (tuple, list)):
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _plain(value):
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
