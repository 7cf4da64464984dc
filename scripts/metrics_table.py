"""The metrics that docs/src/metrics.md lists, and files with what `/metrics` answered. For check_monitoring.py."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "docs/src/metrics.md"

# What the placeholders of the tables stand for.
ARCHIVE = r"(?:blocks|finalizations|marshal_cache_cache_[a-z]+)"
PLACEHOLDERS = {
    "METADATA": rf"(?:marshal_stream|marshal_cache_metadata|{ARCHIVE}_oversized_metadata)",
    "ARCHIVE": ARCHIVE,
    "RESOLVER": r"(?:resolver_resolver|epochs_epoch_resolver_resolver)",
}
SHOWN = ("always", "validator", "registrar", "once")
# Words of PromQL that stand where names do.
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}
GROUPING = r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"


def metric_names(expression):
    """The metrics that an expression names, as they are stored."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\{[^}]*\}", "", text)
    text = re.sub(r"\[[^\]]*\]", "", text)
    text = re.sub(GROUPING, " ", text)
    found = re.findall(r"(?<![\w.])([A-Za-z_:][\w:]*)(?!\w|\s*\()", text)
    return {name for name in found if name.lower() not in WORDS}


class Table:
    """The metrics that the documents list."""

    def __init__(self):
        self.rows = []
        for line in TABLES.read_text(encoding="utf-8").splitlines():
            row = re.match(r"\| `([A-Za-z_]+)(?:\{[a-z_,]*\})?` \| (\w+) \| ([^|]+) \| (\w+) \| ([^|]+) \|$", line)
            if row:
                self.rows.append(row.groups())
            elif line.startswith("| `"):
                self.rows.append((line, "", "", "", ""))
        patterns = []
        for row in self.rows:
            pattern = row[0]
            for placeholder, stands_for in PLACEHOLDERS.items():
                pattern = re.sub(rf"\b{placeholder}(?=_)", lambda _, text=stands_for: text, pattern)
            patterns.append(re.compile(pattern + r"(?:_bucket|_sum|_count)?" * (row[1] == "histogram")))
        self.patterns = patterns

    def row(self, name):
        """The row of a metric, by any of the names that it is stored under."""
        return next((row for row, pattern in zip(self.rows, self.patterns) if pattern.fullmatch(name)), None)

    def faults(self):
        names = [row[0] for row in self.rows]
        for name, kind, _, shown, _ in self.rows:
            where = f"{TABLES.relative_to(ROOT)}: `{name}`"
            if names.count(name) > 1:
                yield f"{where} stands there twice"
            if kind not in ("counter", "gauge", "histogram") or shown not in SHOWN:
                yield f"{where}: the columns are `name`, counter, gauge or histogram, unit, {' or '.join(SHOWN)}, meaning"
            elif (kind == "counter") != name.endswith("_total"):
                yield f"{where}: counters and they alone end with _total"


class MetricsFile:
    """What a box or a registrar shows."""

    def __init__(self, path):
        self.path, self.text = path, path.read_text(encoding="utf-8")
        self.openmetrics = self.text.rstrip().endswith("# EOF")
        self.types = {}
        for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", self.text, re.MULTILINE):
            suffix = "_total" if kind == "counter" and self.openmetrics else ""
            self.types[name + suffix] = kind
        self.is_registrar = "dolmen_registrar_boxes" in self.types

    def shows(self, row):
        """Whether it has to have a metric."""
        name, _, _, shown, _ = row
        if self.is_registrar or name.startswith("dolmen_registrar_"):
            return self.is_registrar and name.startswith("dolmen_registrar_") and shown == "always"
        if shown == "registrar":
            return "dolmen_provisioning_phase" in self.types
        if shown == "validator":
            return "epochs_epoch_batcher_latest_vote" in self.types
        return shown == "always" and "dolmen_height" in self.types

    def faults(self, table):
        if not {"dolmen_height", "dolmen_registrar_boxes", "dolmen_provisioning_phase"} & self.types.keys():
            yield f"{self.path}: no metrics of a box or a registrar; save what `/metrics` answers"
        for name, kind in self.types.items():
            row = table.row(name)
            if row is None:
                yield f"{self.path}: `{name}` ({kind}) is not in {TABLES.relative_to(ROOT)}"
            elif row[1] != kind:
                yield f"{self.path}: `{name}` is a {kind}, {TABLES.relative_to(ROOT)} says {row[1]}"
        for row, pattern in zip(table.rows, table.patterns):
            if self.shows(row) and not any(pattern.fullmatch(name) for name in self.types):
                yield f"{self.path}: `{row[0]}` is missing, {TABLES.relative_to(ROOT)} says that it is shown"
