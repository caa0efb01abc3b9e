#!/usr/bin/env python3
"""Every page in a real Chromium, light and dark, on a desk and on a phone, judged by axe-core; and what can be pressed.

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
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.checks import Checks, MissingPart, main  # noqa: E402
from lib.farends import FarEnds  # noqa: E402
from lib.http import call  # noqa: E402
from lib.processes import Bench, Child, free_port, wait_until  # noqa: E402
from lib.trackside import Settings, Trackside, binary  # noqa: E402
from lib.venvs import ROOT  # noqa: E402

HERE = Path(__file__).resolve().parent
PAGES = (
    "/", "/runs", "/incidents", "/incidents/1", "/incidents?state=snoozed", "/oncall", "/oncall?span=two-weeks&by=person",
    "/oncall?span=month", "/silences", "/silences?matchers=team%3D%22payments%22&preview=1", "/automations",
    "/automations/new", "/deliveries", "/events", "/reports", "/people", "/connections", "/audit", "/api", "/jobs",
    "/approvals", "/approvals/history?state=denied", "/approvals/new", "/access", "/sessions", "/audit?action=token.&outcome=done",
)  # fmt: skip
# Pages that need jobs, approvals, routes and credentials, which the demonstration has.
DEMO_PAGES = (
    "/", "/jobs", "/jobs/refresh_features", "/jobs/publish_prices", "/jobs/publish_prices?state=succeeded", "/approvals",
    "/approvals/history", "/approvals/new", "/approvals/new?route=features-admin", "/connections", "/audit?action=gateway.",
    "/access", "/access?who=airflow-prod&action=call&resource=route%3Afeatures", "/sessions?subject=local-admin",
)  # fmt: skip
DEMO_SECONDS = 120
CLICK_SECONDS = 180
JUDGED_SECONDS = 600

# The provider is not there: nothing of it is needed to show where people sign in, and that its keys cannot be read is
# something to show.
SIGN_IN = """\
issuers:
  corporate: {issuer: "http://127.0.0.1:9", audience: ["urn:trackside"]}
sign_in: {issuer: corporate, title: Example Corp, client_id: trackside, secret: {env: OIDC_SECRET}}
"""

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
        settings = Settings(far_end=ends.url, owners=OWNERS, rules=RULES, sections=SIGN_IN, env={"OIDC_SECRET": "x"})
        trackside = Trackside(bench, settings)
        (trackside.folder / "config" / "people.yaml").write_text(PEOPLE)
        trackside.start()
        fill(trackside)
        for judged in judge(modules, chromium, trackside.url, trackside.admin_token, PAGES):
            report(checks, judged)
        checks.equal("trackside ends cleanly", trackside.stop(), 0)
        demonstrate(checks, modules, chromium, bench)
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


def demonstrate(checks: Checks, modules: Path, chromium: str, bench: Bench) -> None:
    """The pages of the demonstration, and the buttons on them."""
    url, data = f"http://127.0.0.1:{free_port()}", bench.folder / "demo"
    argv = [binary(), "demo", "--speed", "max", "--listen", url.removeprefix("http://"), "--data", data]
    demo = bench.start("demo", argv, dict(os.environ))
    wait_until("the demonstration has played", lambda: played(demo), DEMO_SECONDS)
    token = (data / "admin.token").read_text().strip()
    for judged in judge(modules, chromium, url, token, (*DEMO_PAGES, *found(url, token))):
        report(checks, judged)
    argv = ["node", HERE / "clicks.mjs", modules, chromium, url, token]
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=CLICK_SECONDS)
    for line in done.stdout.splitlines():
        seen = json.loads(line)
        checks.check(seen["name"], seen["ok"], seen["detail"])
    checks.check("the browser came to its end", done.returncode == 0, done.stderr[-1500:])


def played(demo: Child) -> bool:
    """Whether the demonstration has played to its end; one that gave up is an error."""
    if demo.exit_code is not None:
        raise RuntimeError(f"the demonstration ended with {demo.exit_code}:\n{demo.tail()}")
    return "recorded events played" in demo.log.read_text(errors="replace")


def found(url: str, token: str) -> list[str]:
    """A page of each run of a job and of each approval."""
    jobs = ("refresh_features", "publish_prices")
    runs = [run for job in jobs for run in call("GET", f"{url}/jobs/{job}/runs", token=token).json()["items"]]
    approvals = call("GET", f"{url}/api/v1/approvals", token=token).json()["items"]
    return [f"/jobs/{run['job']}/runs/{run['id']}" for run in runs] + [f"/approvals/{asked['id']}" for asked in approvals]


def judge(modules: Path, chromium: str, url: str, token: str, paths: Iterable[str]) -> list[dict[str, object]]:
    """What axe says of each page, palette and width."""
    argv = ["node", HERE / "axe.mjs", modules, chromium, url, token, *paths]
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
