#!/usr/bin/env python3
"""Trackside reads a real Prefect server; the right owner is told once, also of what happened while nobody listened.

Then Prefect's own command line makes automations on Trackside (see `automations.py`), and in the other direction
Prefect's own client sends its events there (see `doors.py`).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from automations import automations  # noqa: E402
from doors import doors  # noqa: E402
from lib.checks import Checks, main  # noqa: E402
from lib.farends import FarEnds  # noqa: E402
from lib.processes import Bench, wait_until  # noqa: E402
from lib.told import check_all_told_once, check_silence, check_told_once  # noqa: E402
from lib.trackside import Settings, Trackside  # noqa: E402
from lib.venvs import python_of  # noqa: E402
from prefect_server import Prefect  # noqa: E402

# What fails, and whose it is: by tag, by pattern, by default. The names are Prefect's.
FAILING = {
    "fails-at-once": "payments",
    "retries-then-fails": "ml",
    "fails-repeatedly": "platform",
    "process-is-killed": "ml",
}
SILENT = ("retries-then-succeeds", "simply-succeeds")
VANISHES = "vanishes"
MISSED = "missed-while-away"
RECOVERS = "fails-repeatedly"
SECRETS = ("abc-48151623", "pg-pass-81723")

OWNERS = """\
  default: platform
  patterns: [{path: "*/missed-*/**", team: payments}]"""
RULES = """\
  - {name: failed, when: {failed: {}}}
  - {name: stuck, match: {pipeline: vanishes}, when: {runs_longer_than: 10s}}"""

TOLD_SECONDS = 45
RUN_SECONDS = 60
# Longer than any notification takes: what has not come by then was not sent.
QUIET_SECONDS = 5


def run(checks: Checks) -> None:
    python = python_of("prefect")
    with FarEnds() as ends, Bench("prefect") as bench:
        prefect = Prefect(bench, python)
        connection = f'  prefect: {{kind: prefect, url: "{prefect.api}", auth_string: {{env: PREFECT_AUTH}}}}'
        trackside = Trackside(
            bench,
            Settings(
                far_end=ends.url, owners=OWNERS, rules=RULES, connections=connection,
                env={"PREFECT_AUTH": prefect.auth_string},
            ),
        )
        # Trackside first: a Prefect server that is not there yet is not an error.
        trackside.start()
        prefect.start()
        checks.note(f"trackside serves at {trackside.url}, Prefect at {prefect.api}")
        subscription(checks, prefect, ends)
        recovery(checks, prefect, ends)
        reconciliation(checks, prefect, trackside, ends)
        nothing_more(checks, trackside, ends, prefect.auth_string)
        automations(checks, bench, python, prefect, trackside, ends)
        doors(checks, bench, python, trackside)
        checks.equal("trackside ends cleanly", trackside.stop(), 0)
        if checks.failed:
            bench.show_logs()


def subscription(checks: Checks, prefect: Prefect, ends: FarEnds) -> None:
    """Runs that fail, retry, crash and vanish."""
    prefect.begin("serve")
    prefect.begin("vanishes")
    prefect.run(
        "fails_at_once", "simply_succeeds", "retries_then_fails", "retries_then_succeeds",
        "fails_repeatedly", "fails_repeatedly", "fails_repeatedly",
    )
    prefect.run_deployment("process-is-killed/nightly")
    wait_until("the crash", lambda: prefect.states("process-is-killed") == ["Crashed"], RUN_SECONDS)
    checks.equal("three runs in a row have failed", prefect.states(RECOVERS), ["Failed"] * 3)
    checks.equal("Prefect goes on saying that the vanished run runs", prefect.states(VANISHES), ["Running"])
    check_all_told_once(checks, ends, FAILING | {VANISHES: "payments"}, TOLD_SECONDS)


def recovery(checks: Checks, prefect: Prefect, ends: FarEnds) -> None:
    """The broken flow succeeds: the incident ends by itself, the others stay open."""
    checks.equal("nothing is resolved before a success", len(ends.pages("resolve")), 0)
    prefect.run("mend", "fails_repeatedly")
    checks.eventually("the success resolves the page", lambda: ends.pages("resolve"), TOLD_SECONDS)
    triggers = {page["dedup_key"] for page in ends.pages("trigger", RECOVERS)}
    resolves = {page["dedup_key"] for page in ends.pages("resolve")}
    checks.equal("the resolve carries the key of the trigger", resolves, triggers)


def reconciliation(checks: Checks, prefect: Prefect, trackside: Trackside, ends: FarEnds) -> None:
    """A flow fails while Trackside is down; it is told after the start, and nothing else is told again."""
    before = len(ends.pages())
    checks.equal("trackside stops cleanly", trackside.stop(), 0)
    prefect.run("missed_while_away")
    checks.equal("nobody is told while trackside is down", len(ends.pages()), before)
    trackside.start()
    check_told_once(checks, ends, MISSED, "payments", TOLD_SECONDS)


def nothing_more(checks: Checks, trackside: Trackside, ends: FarEnds, auth_string: str) -> None:
    """What must not be sent has not been sent, and no secret has left."""
    time.sleep(QUIET_SECONDS)
    for flow in SILENT:
        check_silence(checks, ends, flow)
    for flow in (*FAILING, VANISHES, MISSED):
        checks.equal(f"{flow} was triggered once, also in the end", len(ends.pages("trigger", flow)), 1)
    checks.equal("one resolve in all", len(ends.pages("resolve")), 1)
    for secret in SECRETS:
        leaks = [message.path for message in ends.all() if secret in message.text]
        checks.equal(f"no message carries the secret {secret[:4]}…", leaks, [])
    log = trackside.log()
    checks.check("no secret in the log", not any(secret in log for secret in (*SECRETS, auth_string)))


if __name__ == "__main__":
    main("prefect", run)
