"""A real Airflow 3 in a temporary folder: SQLite, LocalExecutor, simple auth, configured by environment alone."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.checks import MissingPart
from lib.http import call
from lib.processes import Bench, free_port, wait_until

MIGRATE_SECONDS = 180
START_SECONDS = 240
USER = "suite"


class Airflow:
    """API server, scheduler and DAG processor. No triggerer: no DAG of the suites defers."""

    def __init__(self, bench: Bench, python: Path, dags: Path, settings: Mapping[str, str]) -> None:
        """`settings` are further environment variables."""
        self._bench = bench
        self._home = bench.folder / "airflow"
        self._airflow = python.parent / "airflow"
        self._port = free_port()
        self._password = secrets.token_hex(12)
        self._token = ""
        self._home.mkdir()
        shutil.copytree(dags, self._home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        (self._home / "passwords.json").write_text(json.dumps({USER: self._password}))
        self._env = self._environment() | settings

    def start(self, dags: int) -> None:
        """Makes the database, starts the processes, waits until all `dags` can be triggered."""
        done = subprocess.run(
            [self._airflow, "db", "migrate"],
            env=self._env, capture_output=True, text=True, timeout=MIGRATE_SECONDS, check=False,
        )
        if done.returncode != 0:
            raise MissingPart(f"`airflow db migrate` failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        for name, *arguments in (
            ("api-server", "--port", str(self._port), "--workers", "1"),
            ("scheduler", "--skip-serve-logs"),
            ("dag-processor",),
        ):
            self._bench.start(f"airflow-{name}", [self._airflow, name, *arguments], self._env)
        wait_until("Airflow healthy", self._healthy, START_SECONDS)
        self._token = self._sign_in()
        wait_until(f"{dags} DAGs parsed", lambda: self._dag_count() >= dags, START_SECONDS)

    def trigger(self, dag: str, run: str, conf: dict[str, object] | None = None) -> None:
        """Starts a run under a name of ours."""
        answer = call(
            "POST", self._api(f"/dags/{dag}/dagRuns"), token=self._token,
            body={"dag_run_id": run, "logical_date": None, "conf": conf or {}},
        )
        if not answer.ok:
            raise RuntimeError(f"triggering {dag}: {answer.status} {answer.body[:400]!r}")

    def states(self) -> dict[str, str]:
        """State of every run by run id."""
        answer = call("GET", self._api("/dags/~/dagRuns?limit=100"), token=self._token)
        return {run["dag_run_id"]: run["state"] for run in answer.json()["dag_runs"]}

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """The tasks of a run as they stand, by task id."""
        found = call("GET", self._api(f"/dags/{dag}/dagRuns/{run}/taskInstances"), token=self._token).json()
        return {task["task_id"]: task for task in found["task_instances"]}

    def result(self, dag: str, run: str, task: str) -> object:
        """What a task left in XCom; nothing when there is none."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value?deserialize=true"
        answer = call("GET", self._api(path), token=self._token)
        return answer.json()["value"] if answer.ok else None

    def log(self, run: str, task: str) -> str:
        """What all tries of a task have logged."""
        logs = sorted(self._home.glob(f"logs/dag_id=*/run_id={run}/task_id={task}/*.log"))
        return "".join(log.read_text(errors="replace") for log in logs)

    def _api(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/api/v2{path}"

    def _sign_in(self) -> str:
        url = f"http://127.0.0.1:{self._port}/auth/token"
        answer = call("POST", url, body={"username": USER, "password": self._password})
        if answer.status != 201:
            raise RuntimeError(f"Airflow sign-in: {answer.status} {answer.body[:400]!r}")
        return answer.json()["access_token"]

    def _healthy(self) -> bool:
        if not self._bench.alive():
            raise MissingPart("an Airflow process ended at start; its log is below")
        health = call("GET", self._api("/monitor/health"), timeout=3).json()
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def _dag_count(self) -> int:
        return call("GET", self._api("/dags?limit=1"), token=self._token).json()["total_entries"]

    def _environment(self) -> dict[str, str]:
        base = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        url = f"http://127.0.0.1:{self._port}"
        return base | {
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._home / "dags"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._home}/airflow.db",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        }
