#!/usr/bin/env python3
"""Every page in a real Chromium, light and dark, on a desk and on a phone, judged by axe-core.

Needs Node.js 18 or newer with npm, and Chromium (`CHROMIUM` names another program). axe-core and puppeteer-core come
from npm, in the versions of `package.json`, into `.suites/node` of the clone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.checks import Checks, MissingPart, main  # noqa: E402
from lib.farends import FarEnds  # noqa: E402
from lib.http import call  # noqa: E402
from lib.processes import Bench, wait_until  # noqa: E402
from lib.trackside import Settings, Trackside  # noqa: E402
from lib.venvs import ROOT  # noqa: E402

HERE = Path(__file__).resolve().parent
PAGES = (
    "/", "/runs", "/incidents", "/incidents/1", "/incidents?state=snoozed", "/oncall", "/oncall?span=two-weeks&by=person",
    "/oncall?span=month", "/silences", "/silences?matchers=team%3D%22payments%22&preview=1", "/automations",
    "/automations/new", "/deliveries", "/events", "/reports", "/people", "/connections", "/audit", "/api",
)  # fmt: skip
JUDGED_SECONDS = 600

OWNERS = "  default: platform\n  patterns: [{path: \"*/orders_*/**\", team: payments}]"
RULES = "  - {name: failed, when: {failed: {}}}\n  - {name: reported, when: reported}"
PEOPLE = """\
people:
  ana: {name: Ana Martin, zone: Europe/Paris, contacts: [{via: slack-payments}, {via: pd-payments, after: 5m}],
    quiet: {during: [{times: [{start_time: "22:00", end_time: "24:00"}]}], below: error}}
  bruno: {name: Bruno Keller, zone: America/New_York, contacts: [{via: slack-payments}]}
schedules:
  primary: {layers: [{name: weekly, rotation: {tz: Europe/Paris, start: "2026-01-05T09:00", unit: week, participants: [ana, bruno]}}]}
  office: {layers: [{name: daily, rotation: {tz: Europe/Paris, start: "2026-01-05T09:00", unit: day, participants: [bruno, ana]},
    restrict: [{weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "17:00"}], location: Europe/Paris}]}]}
escalations:
  payments-oncall: {steps: [{targets: ["oncall:primary"]}, {after: 15m, targets: ["oncall:office", "person:bruno"]}],
    repeat: {times: 2, every: 30m}, ack_timeout: 4h}
rules:
  - {name: escalated, match: {pipeline: "orders_*"}, when: {failed: {}}, severity: error, escalation: payments-oncall}
maintenance:
  - {name: warehouse night, matchers: ['source="warehouse"'], when: {tz: Europe/Paris, start: "2026-01-03T22:00", end_time: "02:00", rrule: {freq: weekly}}}
"""


def run(checks: Checks) -> None:
    chromium, modules = browser(), node_modules()
    with FarEnds() as ends, Bench("pages") as bench:
        trackside = Trackside(bench, Settings(far_end=ends.url, owners=OWNERS, rules=RULES))
        (trackside.folder / "config" / "people.yaml").write_text(PEOPLE)
        trackside.start()
        fill(trackside)
        for judged in judge(modules, chromium, trackside):
            report(checks, judged)
        checks.equal("trackside ends cleanly", trackside.stop(), 0)
        if checks.failed:
            bench.show_logs()


def browser() -> str:
    """The browser; one that is missing is said loudly."""
    for name in filter(None, (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")):
        if found := shutil.which(name):
            return found
    raise MissingPart("Chromium; `apt-get install chromium`, or say where it is with CHROMIUM=/path")


def node_modules() -> Path:
    """The folder that holds what `package.json` names; installs it when needed."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise MissingPart("Node.js with npm; `apt-get install nodejs npm`")
    folder = ROOT / ".suites" / "node"
    wanted = (HERE / "package.json").read_text()
    stamp = folder / "package.json"
    if stamp.exists() and stamp.read_text() == wanted and (folder / "node_modules" / "axe-core").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    argv = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    installed = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    if installed.returncode != 0:
        stamp.unlink()
        raise MissingPart(f"axe-core and puppeteer-core from npm:\n{installed.stderr[-2000:]}")
    return folder


def fill(trackside: Trackside) -> None:
    """Runs, an incident that is escalated, a silence, a window, an override: so that pages have something to show."""
    for pipeline, state in (("orders_daily", "failed"), ("orders_hourly", "failed"), ("ledger", "succeeded"), ("ledger", "failed")):
        body = {"pipeline": pipeline, "run_id": f"{pipeline}-{state}", "state": state, "error": "disk full"}
        send(trackside, "/api/v1/events", {"event": "run", "source": "airflow-prod", "run": body}, trackside.ingest_token)
    wait_until("three incidents", lambda: len(trackside.get("/api/v1/incidents?state=open")["items"]) >= 3, 30)
    day = [time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() + hours * 3600)) for hours in (30, 40)]
    admin = trackside.admin_token
    send(trackside, "/api/v1/schedules/primary/overrides", {"user": "bruno", "start": day[0], "end": day[1], "reason": "holiday"}, admin)
    send(trackside, "/api/v1/silences", {"matchers": ['pipeline="ledger"'], "for": "4h", "reason": "known"}, admin)
    send(trackside, "/api/v1/silences", {"matchers": ['team="ml"'], "starts": day[0], "ends": day[1], "reason": "training"}, admin)
    when = {"tz": "UTC", "start": day[0].rstrip("Z"), "duration_s": 7200}
    send(trackside, "/api/v1/maintenance", {"name": "upgrade", "matchers": ['source="airflow-prod"'], "when": when}, admin)
    send(trackside, "/api/v1/incidents/2/snooze", {"for": "1h"}, admin)


def send(trackside: Trackside, path: str, body: object, token: str) -> None:
    answer = call("POST", trackside.url + path, token=token, body=body)
    if not answer.ok:
        raise ValueError(f"POST {path}: {answer.status} {answer.body[:300]!r}")


def judge(modules: Path, chromium: str, trackside: Trackside) -> list[dict[str, object]]:
    """What axe says of each page, palette and width."""
    argv = ["node", HERE / "axe.mjs", modules, chromium, trackside.url, trackside.admin_token, *PAGES]
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=JUDGED_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"axe.mjs ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def report(checks: Checks, judged: dict[str, object]) -> None:
    """One check for each page, palette and width."""
    wrong = [f"{found['id']} ({found['help']}): {node['target']}" for found in judged["violations"] for node in found["nodes"]]
    if judged["status"] != 200:
        wrong.append(f"status {judged['status']}")
    if judged["wide"]:
        wrong.append(f"wider than the screen: {', '.join(judged['wide'])}")
    wrong += [f"console: {complaint}" for complaint in judged["complaints"]]
    checks.check(f"{judged['path']} {judged['palette']} {judged['width']} px", not wrong, "; ".join(wrong))


if __name__ == "__main__":
    main("pages", run)
