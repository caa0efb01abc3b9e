#!/usr/bin/env python3
"""Real Airflow tells Trackside by OpenLineage; the right owner is told once by PagerDuty and Slack.

Starts everything, runs the DAGs of `dags/`, and checks what arrived at the far ends. Needs nothing but Python, the
package index and the trackside binary.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.airflow_server import Airflow  # noqa: E402
from lib.checks import Checks, main  # noqa: E402
from lib.farends import FarEnds  # noqa: E402
from lib.processes import Bench, wait_until  # noqa: E402
from lib.told import check_all_told_once, check_silence  # noqa: E402
from lib.trackside import Settings, Trackside  # noqa: E402
from lib.venvs import python_of  # noqa: E402

HERE = Path(__file__).resolve().parent
NAMESPACE = "airflow-suite"

# What fails, and whose it is: by owner field, by tag, by pattern, by default.
FAILING = {
    "fails_at_once": "payments",
    "retries_then_fails": "ml",
    "task_is_killed": "payments",
    "mapped_one_fails": "ml",
    "gives_up_early": "payments",
    "breaks_then_recovers": "platform",
    "two_tasks_fail": "payments",
}
SILENT = ("retries_then_succeeds", "simply_succeeds")
RECOVERS = "breaks_then_recovers"
SECRETS = ("abc-48151623", "pg-pass-81723")

OWNERS = """\
  default: platform
  patterns: [{path: "airflow-suite/mapped_*/**", team: ml}]"""

RUNS_SECONDS = 240
TOLD_SECONDS = 30
# Longer than any notification takes: what has not come by then was not sent.
QUIET_SECONDS = 5


def run(checks: Checks) -> None:
    python = python_of("airflow")
    with FarEnds() as ends, Bench("airflow") as bench:
        trackside = Trackside(bench, Settings(far_end=ends.url, owners=OWNERS))
        trackside.start()
        checks.note(f"trackside serves at {trackside.url}")
        airflow = Airflow(bench, python, HERE / "dags", lineage(trackside))
        airflow.start(dags=len(FAILING) + len(SILENT))
        checks.note("Airflow is up, all DAGs are parsed")
        first_round(checks, airflow, ends)
        recovery(checks, airflow, ends)
        nothing_more(checks, trackside, ends)
        if checks.failed:
            bench.show_logs()


def lineage(trackside: Trackside) -> dict[str, str]:
    """OpenLineage by environment variables only."""
    transport = {
        "type": "http", "url": trackside.url, "endpoint": "api/v1/lineage",
        "auth": {"type": "api_key", "apiKey": trackside.ingest_token},
    }  # fmt: skip
    return {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport), "AIRFLOW__OPENLINEAGE__NAMESPACE": NAMESPACE}


def first_round(checks: Checks, airflow: Airflow, ends: FarEnds) -> None:
    """Every DAG runs once."""
    for dag in (*FAILING, *SILENT):
        airflow.trigger(dag, f"{dag}-1", {"broken": True} if dag == RECOVERS else None)
    wanted = {f"{dag}-1": "failed" for dag in FAILING} | {f"{dag}-1": "success" for dag in SILENT}
    finish(airflow, wanted)
    checks.note("every run has ended as it should")
    check_all_told_once(checks, ends, FAILING, TOLD_SECONDS)


def recovery(checks: Checks, airflow: Airflow, ends: FarEnds) -> None:
    """The next run of a broken DAG succeeds: the incident ends by itself."""
    checks.equal("nothing is resolved before a success", len(ends.pages("resolve")), 0)
    airflow.trigger(RECOVERS, f"{RECOVERS}-2")
    finish(airflow, {f"{RECOVERS}-2": "success"})
    checks.eventually("the success resolves the page", lambda: ends.pages("resolve"), TOLD_SECONDS)
    triggers = {page["dedup_key"] for page in ends.pages("trigger", RECOVERS)}
    resolves = {page["dedup_key"] for page in ends.pages("resolve")}
    checks.equal("the resolve carries the key of the trigger", resolves, triggers)


def nothing_more(checks: Checks, trackside: Trackside, ends: FarEnds) -> None:
    """What must not be sent has not been sent, and no secret has left."""
    time.sleep(QUIET_SECONDS)
    for dag in SILENT:
        check_silence(checks, ends, dag)
    for dag in FAILING:
        checks.equal(f"{dag} was triggered once, also in the end", len(ends.pages("trigger", dag)), 1)
    checks.equal("one resolve in all", len(ends.pages("resolve")), 1)
    for secret in SECRETS:
        leaks = [message.path for message in ends.all() if secret in message.text]
        checks.equal(f"no message carries the secret {secret[:4]}…", leaks, [])
    checks.check("no secret in the log", not any(secret in trackside.log() for secret in SECRETS))
    for token in (trackside.ingest_token, trackside.viewer_token):
        checks.check("no token in the log", token not in trackside.log())
    checks.equal("trackside ends cleanly", trackside.stop(), 0)


def finish(airflow: Airflow, wanted: dict[str, str]) -> None:
    """Waits until the runs have ended in these states."""
    def ended() -> bool:
        states = airflow.states()
        wrong = {run: states[run] for run in wanted if states.get(run) in {"success", "failed"} - {wanted[run]}}
        if wrong:
            raise RuntimeError(f"runs ended otherwise: {wrong}")
        return all(states.get(run) == state for run, state in wanted.items())

    wait_until("the runs' end", ended, RUNS_SECONDS)


if __name__ == "__main__":
    main("airflow", run)
