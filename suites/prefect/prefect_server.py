"""A real Prefect server in a temporary home, with authentication, and processes that run flows against it."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from lib.checks import MissingPart
from lib.http import call
from lib.processes import Bench, Child, free_port, wait_until

START_SECONDS = 120
FLOW_SECONDS = 90
FLOWS = Path(__file__).parent / "flows.py"


class Prefect:
    """The server and what runs flows on it."""

    def __init__(self, bench: Bench, python: Path) -> None:
        self._bench = bench
        self._python = python
        self._port = free_port()
        self._runs = 0
        self.auth_string = f"suite:{secrets.token_hex(12)}"
        self.api = f"http://127.0.0.1:{self._port}/api"
        home = bench.folder / "prefect"
        home.mkdir()
        self.client_env = base_env(home) | {
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": self.auth_string,
        }

    def start(self) -> None:
        """Starts the server and waits for its health."""
        env = self.client_env | {
            "PREFECT_SERVER_API_AUTH_STRING": self.auth_string,
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        argv = [self._python.parent / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        server = self._bench.start("prefect-server", argv, env)

        def healthy() -> bool:
            if server.exit_code is not None:
                raise MissingPart(f"the Prefect server ended with {server.exit_code}:\n{server.tail()}")
            return call("GET", f"{self.api}/health", headers=self._auth(), timeout=3).ok

        wait_until("Prefect healthy", healthy, START_SECONDS)

    def begin(self, *flows: str) -> Child:
        """Starts one process that runs the named flows one after another, whatever becomes of each."""
        self._runs += 1
        return self._bench.start(f"flows-{self._runs:02}-{flows[0]}", [self._python, FLOWS, *flows], self.client_env)

    def run(self, *flows: str) -> None:
        """Runs flows to their end."""
        child = self.begin(*flows)
        code = child.wait(FLOW_SECONDS)
        if code != 0:
            raise RuntimeError(f"running {', '.join(flows)} ended with {code}:\n{child.tail()}")

    def run_deployment(self, name: str) -> None:
        """Asks for a run of a served deployment, as a schedule would."""
        deployment = wait_until(f"deployment {name}", lambda: self._deployment(name), FLOW_SECONDS)
        answer = call("POST", f"{self.api}/deployments/{deployment}/create_flow_run", body={}, headers=self._auth())
        if not answer.ok:
            raise RuntimeError(f"creating a run of {name}: {answer.status} {answer.body[:400]!r}")

    def states(self, flow: str) -> list[str]:
        """The state names of all runs of a flow, oldest first."""
        body = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        answer = call("POST", f"{self.api}/flow_runs/filter", body=body, headers=self._auth())
        return [run["state_name"] for run in answer.json()]

    def _deployment(self, name: str) -> str | None:
        answer = call("GET", f"{self.api}/deployments/name/{name}", headers=self._auth())
        return answer.json()["id"] if answer.ok else None

    def _auth(self) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(self.auth_string.encode()).decode()}"}


def base_env(home: Path) -> dict[str, str]:
    """Environment of every Prefect process: its own home, nothing phoned home, nothing from the user's profile."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | {
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
    }
