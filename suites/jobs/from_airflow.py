"""A real Airflow asks for runs, with the DAG of the guide and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from world import END_SECONDS, EXAMPLE, World

from lib.airflow_server import Airflow
from lib.processes import wait_until

DAG = "features"
RUN_SECONDS = 120


def make(world: World, python: Path) -> Airflow:
    """An Airflow whose connection `trackside` has the token as a header."""
    dags = world.bench.folder / "dags"
    dags.mkdir()
    shutil.copy(EXAMPLE / "features_dag.py", dags)
    connection = {
        "conn_type": "http", "host": world.trackside.url,
        "extra": {"Authorization": f"Bearer {world.tokens['airflow']}"},
    }  # fmt: skip
    settings = {"AIRFLOW_CONN_TRACKSIDE": json.dumps(connection), "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1"}
    return Airflow(world.bench, python, dags, settings)


def run(world: World, airflow: Airflow) -> None:
    """The runs go side by side; the server is killed once all others are done."""
    for name, customer in (("good", "good"), ("schema", ""), ("flaky", "flaky-b"), ("bad", "bad")):
        airflow.trigger(DAG, name, {"customer": customer})
    ended(airflow, {"good": "success", "schema": "failed", "flaky": "success", "bad": "failed"})
    good(world, airflow)
    schema(world, airflow)
    flaky(world, airflow)
    bad(world, airflow)
    killed(world, airflow)
    log = "".join(airflow.log(name, "*") for name in ("good", "schema", "flaky", "bad", "killed"))
    world.checks.check("no token in Airflow's logs", world.tokens["airflow"] not in log)


def good(world: World, airflow: Airflow) -> None:
    """Results are in XCom, and Trackside knows which task asked."""
    checks = world.checks
    checks.equal("the result is in XCom", airflow.result(DAG, "good", "refresh"), {"customer": "good", "rows": 42, "for": "airflow"})
    checks.equal("the sensor's too", airflow.result(DAG, "good", "trained"), {"name": "model of good"})
    [run] = [run for run in runs(world, "refresh") if run["key"].startswith(f"{DAG}/good/")]
    checks.equal("the key names the run and the task", run["key"], f"{DAG}/good/refresh/-1")
    checks.equal("so does the origin", run["origin"], f"{DAG}/good/refresh")
    checks.equal("the API was called on behalf of Airflow", run["identity"]["subject"], "airflow")


def schema(world: World, airflow: Airflow) -> None:
    """The task's log says what is wrong with the input, and where."""
    world.checks.check("the task's log names the JSON pointer", "/customer" in airflow.log("schema", "refresh"), airflow.log("schema", "refresh")[-1500:])


def flaky(world: World, airflow: Airflow) -> None:
    """The second try of the task runs a failed run again."""
    checks = world.checks
    checks.equal("the task was tried twice", airflow.tasks(DAG, "flaky")["refresh"]["try_number"], 2)
    mine = sorted((run for run in runs(world, "refresh") if "/flaky/" in run["key"]), key=lambda run: run["attempt"])
    ends = [(run["state"], run["attempt"]) for run in mine]
    checks.equal("the higher attempt ran it again", ends, [("failed", 1), ("succeeded", 2)])
    checks.equal("and names the one before", mine[-1].get("previous"), mine[0]["id"])
    checks.equal("carried out once", world.api.executed("refresh", "flaky-b"), 1)


def bad(world: World, airflow: Airflow) -> None:
    """A task that fails for good says why, and its team knows."""
    log = airflow.log("bad", "refresh")
    world.checks.check("the task's log says what the API said", "no such customer" in log, log[-1500:])
    mine = [run for run in runs(world, "refresh") if "/bad/" in run["key"]]
    world.checks.equal("each try was a run", sorted(run["attempt"] for run in mine), [1, 2, 3])


def killed(world: World, airflow: Airflow) -> None:
    """`kill -9` of Trackside while a task waits: its next try finds the run."""
    checks = world.checks
    airflow.trigger(DAG, "killed", {"customer": "slow-6-airflow"})
    asked = lambda: world.api.asked("/refresh", "slow-6-airflow")  # noqa: E731
    wait_until("the call of the task", asked, RUN_SECONDS)
    world.trackside.kill()
    world.trackside.start()
    ended(airflow, {"killed": "success"})
    mine = [run for run in runs(world, "refresh") if "/killed/" in run["key"]]
    checks.equal("the next try attached to the same run", [(run["state"], run["attempt"]) for run in mine], [("succeeded", 2)])
    checks.equal("Airflow has its result", airflow.result(DAG, "killed", "refresh"), {"customer": "slow-6-airflow", "rows": 42, "for": "airflow"})
    checks.equal("carried out once", world.api.executed("refresh", "slow-6-airflow"), 1)
    checks.eventually("no call is left open", lambda: not _open(world), END_SECONDS)


def runs(world: World, job: str) -> list[dict[str, object]]:
    """The runs that Airflow asked for."""
    return world.ask("GET", f"/jobs/{job}/runs?limit=100", token="airflow").json()["items"]


def ended(airflow: Airflow, wanted: dict[str, str]) -> None:
    """Waits until the runs have ended in these states."""
    def look() -> bool:
        states = airflow.states()
        wrong = {run: states[run] for run in wanted if states.get(run) in {"success", "failed"} - {wanted[run]}}
        if wrong:
            raise RuntimeError(f"runs ended otherwise: {wrong}")
        return all(states.get(run) == state for run, state in wanted.items())

    wait_until("the ends of the DAG runs", look, RUN_SECONDS)


def _open(world: World) -> list[object]:
    return [run for run in runs(world, "refresh") if not run["done"]]
