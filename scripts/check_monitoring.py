#!/usr/bin/env python3
"""Checks what operators get for their Prometheus and Grafana: rules, dashboards, tables of metrics, runbook.

    scripts/check_monitoring.py [--metrics FILE]...    FILE is what a box or a registrar shows at /metrics

1. Rules: Debian's `promtool` takes and tests them; every alert has a severity, texts, a section in the runbook, a test
   in which it fires and one in which it is quiet; the healthy chain of the tests has what every expression asks for.
2. Dashboards: valid, with places that do not overlap, units and descriptions; a real Prometheus takes every expression.
3. Names: an expression only names metrics that docs/src/metrics.md lists.
4. With files: Prometheus scrapes them; tables and files agree, and expressions and panels find what they name.

Prometheus runs on a free port of the loopback interface, with its data in a temporary folder. Prints one line per fault
and exits 1 if there is any.
"""

import argparse
import http.server
import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from metrics_table import ROOT, TABLES, MetricsFile, Table, metric_names

RULES = ROOT / "ops/prometheus/dolmen.rules.yml"
TESTS = ROOT / "ops/prometheus/dolmen.rules.test.yml"
CONFIG = ROOT / "ops/prometheus/prometheus.yml"
DASHBOARDS = ROOT / "ops/grafana"
RUNBOOK = ROOT / "docs/src/monitoring.md"

START_SECONDS_MAX = 30
# Two scrapes for rates, and an evaluation of the recorded ones after that, on a busy machine too.
SETTLE_SECONDS = 5
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_OWN = {"up", "ALERTS"}


def serve(files):
    """Serves metrics files on the loopback interface: the server, and the paths of boxes and of registrars."""
    pages = {f"/{number}": file for number, file in enumerate(files)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            file = pages[self.path]
            body = file.text.encode()
            self.send_response(200)
            self.send_header("Content-Type", OPENMETRICS if file.openmetrics else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, pages


class Prometheus:
    """A Prometheus of its own with the rules, which scrapes the files. Use it in a `with` statement."""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="dolmen-monitoring-"))
        self.server, pages = serve(self.files)
        jobs = []
        for path, file in pages.items():
            job = "dolmen-registrar" if file.is_registrar else "dolmen"
            address = f"127.0.0.1:{self.server.server_address[1]}"
            jobs.append({
                "job_name": f"file{path}",
                "metrics_path": path,
                "relabel_configs": [{"target_label": "job", "replacement": job}],
                "static_configs": [{"targets": [address], "labels": {"chain": "checked", "instance": path}}],
            })
        interval = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config = {"global": interval, "rule_files": [str(RULES)], "scrape_configs": jobs}
        # JSON is YAML.
        (self.folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = (self.folder / "log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        try:
            self.wait(lambda: urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200)
            if self.files:
                # It takes some seconds until it knows of any.
                self.wait(lambda: sum(target["health"] != "unknown" for target in self.targets()) == len(self.files))
                time.sleep(SETTLE_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.server.shutdown()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait(self, is_so):
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                if is_so():
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                sys.exit(f"prometheus does not answer on {self.url}:\n{self.log.read()}")
            time.sleep(0.1)

    def ask(self, path, **parameters):
        """The answer's data, or the error as a string."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            return json.load(error)["error"]

    def targets(self):
        return self.ask("targets")["activeTargets"]

    def rules(self):
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


def promtool(*arguments, cwd=None):
    """The fault, if promtool finds any."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def check_files_of_rules():
    yield from promtool("check", "rules", RULES)
    yield from promtool("test", "rules", TESTS)
    # The example names a file that operators make.
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(RULES, folder)
        shutil.copy(CONFIG, folder)
        (Path(folder) / "boxes.pem").touch()
        yield from promtool("check", "config", CONFIG.name, cwd=folder)


def fired_in_tests():
    """The labels with which each alert fires in a test, and the alerts that are quiet in one."""
    text = TESTS.read_text(encoding="utf-8")
    alert = r"""sum without \(alertstate\) \(ALERTS\{alertname="(\w+)",alertstate="firing"\}\)'\s+eval_time: \w+\s+"""
    fired = {}
    for name, same, labels in re.findall(alert + r"""exp_samples:\s+- labels: '\{alertname="(\w+)",([^}]*)\}'""", text):
        if name == same:
            fired[name] = set(re.findall(r'(\w+)="', labels))
    return fired, set(re.findall(alert + r"exp_samples: \[\]", text))


def check_alerts(rules, recorded, table):
    alerts = [rule for rule in rules if rule["type"] == "alerting"]
    where, tests, runbook = (path.relative_to(ROOT) for path in (RULES, TESTS, RUNBOOK))
    sections = set(re.findall(r"^### (Dolmen\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE))
    fired, quiet = fired_in_tests()
    healthy = re.search(r"- name: healthy\n(.*?)\n\n", TESTS.read_text(encoding="utf-8"), re.DOTALL)
    healthy = set(re.findall(r"series: '([\w:]+)", healthy[1] if healthy else ""))
    for alert in alerts:
        name, texts = alert["name"], alert["annotations"]
        if alert["labels"].get("severity") not in ("critical", "warning"):
            yield f"{where}: {name}: the severity is critical or warning"
        if not (texts.get("summary") and texts.get("description")):
            yield f"{where}: {name}: no summary or no description"
        if texts.get("runbook") != f"{runbook}#{name.lower()}" or name not in sections:
            yield f"{where}: {name}: the runbook is a section `### {name}` of {runbook}, and the address of that"
        if name not in fired or name not in quiet:
            yield f"{tests}: {name}: no test in which it fires, or none in which it is quiet"
        # Tests leave `chain` out where nothing depends on it.
        for label in set(re.findall(r"\$labels\.(\w+)", " ".join(texts.values()))) - fired.get(name, set()) - {"chain"}:
            yield f"{where}: {name}: a text has `$labels.{label}`, which it does not have when it fires in its test"
    for name in sections - {alert["name"] for alert in alerts}:
        yield f"{runbook}: there is no alert {name}"
    for rule in rules:
        for name in metric_names(rule["query"]) - PROMETHEUS_OWN - recorded:
            row = table.row(name)
            if row is None:
                yield f"{where}: {rule['name']}: `{name}` is not in {TABLES.relative_to(ROOT)}"
            elif row[3] != "once" and name not in healthy:
                yield f"{tests}: the healthy chain has no `{name}`, so {rule['name']} is quiet for nothing"


def expressions(dashboard):
    """(title of the panel, expression) of all of a dashboard's queries, variables filled in."""
    found = [(item["name"], item["expr"]) for item in dashboard["annotations"]["list"] if "expr" in item]
    for variable in dashboard["templating"]["list"]:
        query = re.fullmatch(r"label_values\((.*), \w+\)", variable.get("definition", ""))
        if query:
            found.append((f"variable {variable['name']}", query[1]))
    found += [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for title, expression in found:
        yield title, re.sub(r"\$(chain|box)\b", ".*", expression.replace("$__rate_interval", "1m"))


def check_dashboard(path, dashboard):
    where = path.relative_to(ROOT)
    panels = dashboard["panels"]
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    if "datasource" not in variables:
        yield f"{where}: no variable for the data source"
    for source in re.findall(r'"datasource": \{[^}]*"uid": "([^"]*)"', json.dumps(dashboard)):
        if source not in ("${datasource}", "-- Grafana --"):
            yield f"{where}: data source `{source}`: it is the operator's, so say ${{datasource}}"
    queries = " ".join(target["expr"] for panel in panels for target in panel.get("targets", []))
    for name in set(re.findall(r"\$\{?(\w+)", queries)) - variables - {"__rate_interval"}:
        yield f"{where}: no variable `{name}`"
    if len({panel["id"] for panel in panels}) != len(panels):
        yield f"{where}: two panels have one id"
    taken = {}
    for panel in panels:
        title, place = panel["title"], panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{where}: {title}: wider than the page"
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        for cell in itertools.product(columns, lines):
            if taken.setdefault(cell, title) != title:
                yield f"{where}: {title} lies over {taken[cell]}"
                break
        if panel["type"] != "row" and not (panel.get("description") and panel["fieldConfig"]["defaults"].get("unit")):
            yield f"{where}: {title}: no description or no unit"


def load_dashboards():
    """The dashboards by their paths, and what is wrong with them as files."""
    dashboards, faults = {}, []
    for path in sorted(DASHBOARDS.glob("*.json")):
        try:
            dashboard = json.loads(path.read_text(encoding="utf-8"))
            faults.extend(check_dashboard(path, dashboard))
            dashboards[path] = (dashboard["uid"], list(expressions(dashboard)))
        except (ValueError, KeyError) as error:
            faults.append(f"{path.relative_to(ROOT)}: not a dashboard: {error!r}")
    uids = [uid for uid, _ in dashboards.values()]
    for path, (uid, _) in dashboards.items():
        if uids.count(uid) > 1:
            faults.append(f"{path.relative_to(ROOT)}: another has the uid `{uid}`, too")
    if not dashboards:
        faults.append(f"{DASHBOARDS.relative_to(ROOT)}: no dashboards")
    return dashboards, faults


def check_dashboards(prometheus, dashboards, recorded, table, files):
    """What Grafana would show. With files, a panel whose metrics are all there must not be empty."""
    there = set(prometheus.ask("label/__name__/values")) if files else set()
    # These are there with some labels, not with all.
    optional = PROMETHEUS_OWN | {name for name in there if (row := table.row(name)) and row[3] == "once"}
    for path, (_, queries) in dashboards.items():
        where = path.relative_to(ROOT)
        for title, expression in queries:
            names = metric_names(expression)
            for name in names - PROMETHEUS_OWN - recorded:
                if table.row(name) is None:
                    yield f"{where}: {title}: `{name}` is neither in {TABLES.relative_to(ROOT)} nor recorded by a rule"
            answer = prometheus.ask("query", query=expression)
            if isinstance(answer, str):
                yield f"{where}: {title}: {answer}: {expression}"
            elif names <= there - optional and not answer["result"]:
                yield f"{where}: {title}: nothing is shown, though all of its metrics are there: {expression}"


def check_scraped(prometheus, rules, dashboards, recorded, table, files):
    """With files: whether Prometheus could read them, and whether they have what the rules and dashboards name."""
    for target in prometheus.targets():
        if target["health"] != "up":
            path = files[int(target["labels"]["instance"].strip("/"))].path
            yield f"{path}: Prometheus cannot read it: {target['lastError']}"
    there = set(prometheus.ask("label/__name__/values")).union(*(file.types for file in files))
    named = {rule["name"]: metric_names(rule["query"]) for rule in rules}
    for path, (_, queries) in dashboards.items():
        for title, expression in queries:
            named[f"{path.name}: {title}"] = metric_names(expression)
    for where, names in named.items():
        for name in names - PROMETHEUS_OWN - recorded - there:
            row = table.row(name)
            if row is not None and any(file.shows(row) for file in files):
                yield f"{where}: no file has `{name}`"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metrics", metavar="FILE", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    for program in ("promtool", "prometheus"):
        if shutil.which(program) is None:
            sys.exit(f"no {program}: run scripts/setup.sh test, or install Debian's package prometheus")
    table, files = Table(), [MetricsFile(path) for path in arguments.metrics]
    dashboards, faults = load_dashboards()
    faults += [*table.faults(), *check_files_of_rules()]
    for file in files:
        faults.extend(file.faults(table))
    with Prometheus(files) as prometheus:
        rules = prometheus.rules()
        recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
        faults.extend(check_alerts(rules, recorded, table))
        if files:
            faults.extend(check_scraped(prometheus, rules, dashboards, recorded, table, files))
        faults.extend(check_dashboards(prometheus, dashboards, recorded, table, files))
    for fault in faults:
        print(fault)
    alerts = len(rules) - len(recorded)
    print(f"{alerts} alerts, {len(table.rows)} metrics, {len(files)} files of metrics, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
