"""The world of the suite: Trackside with the jobs of the example and some more, the API behind a wire, an App Service."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from azure_site import RESOURCE, AzureSite
from wire import Wire

from lib.checks import Checks
from lib.farends import FarEnds
from lib.http import Answer, call
from lib.processes import Bench, Child, free_port, wait_until
from lib.trackside import Settings, Trackside
from lib.venvs import ROOT

EXAMPLE = ROOT / "examples" / "airflow-fastapi"
HERE = Path(__file__).resolve().parent
START_SECONDS = 30
END_SECONDS = 40
# What the example's configuration says; the suite's API listens elsewhere.
EXAMPLE_ADDRESS = "http://127.0.0.1:8000"


class Api:
    """The FastAPI app, run by uvicorn with two workers."""

    def __init__(self, bench: Bench, python: Path, port: int) -> None:
        self._bench, self._python, self._port = bench, python, port
        self._database = bench.folder / "features.db"
        self._child: Child | None = None
        self._starts = 0

    def start(self, trackside: str) -> None:
        """Starts it and waits until it answers."""
        self._starts += 1
        argv = [self._python, "-m", "uvicorn", "far_app:app", "--port", str(self._port), "--workers", "2", "--app-dir", HERE]
        env = os.environ | {
            "TRACKSIDE_URL": trackside, "FEATURES_DATABASE": str(self._database), "FEATURES_EXAMPLE": str(EXAMPLE),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        self._child = self._bench.start(f"api-{self._starts}", argv, env)
        wait_until("the API", lambda: call("GET", f"http://127.0.0.1:{self._port}/openapi.json").ok, START_SECONDS)

    def kill(self) -> None:
        """`kill -9` of all of it."""
        if self._child is not None:
            self._child.kill()

    def executed(self, work: str, customer: str) -> int:
        """How often work was carried out, to its end."""
        rows = self._rows("SELECT 1 FROM executed WHERE work = ? AND customer = ?", work, customer)
        return len(rows)

    def asked(self, path: str, customer: str) -> list[dict[str, str]]:
        """The headers of each request that reached it."""
        wanted = json.dumps({"customer": customer}, separators=(",", ":"))
        rows = self._rows("SELECT headers, body FROM asked WHERE path = ?", path)
        return [json.loads(headers) for headers, body in rows if body.replace(" ", "") == wanted.replace(" ", "")]

    def reports(self, customer: str) -> list[str]:
        """How each report of a customer stands."""
        return [state for (state,) in self._rows("SELECT state FROM reports WHERE customer = ?", customer)]

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        """Rows of either database: the one of the example has what it keeps together with its work."""
        found: list[tuple[str, ...]] = []
        for path in (self._database, Path(f"{self._database}.journal")):
            with closing(sqlite3.connect(path, timeout=10)) as db:
                try:
                    found += db.execute(query, values).fetchall()
                except sqlite3.OperationalError as missing:
                    if "no such table" not in str(missing):
                        raise
        return found


@dataclass
class World:
    """Everything, started."""

    checks: Checks
    ends: FarEnds
    bench: Bench
    trackside: Trackside
    api: Api
    wire: Wire
    azure: AzureSite
    gateway: str
    tokens: Mapping[str, str]

    def ask(self, method: str, path: str, body: object = None, *, token: str = "etl", **headers: str) -> Answer:
        """A request of one of the callers. `key` and `attempt` are short for their headers."""
        names = {"key": "Idempotency-Key", "attempt": "Trackside-Attempt", "why": "Trackside-Justification"}
        told = {names.get(name, name): value for name, value in headers.items()}
        return call(method, self.trackside.url + path, body=body, token=self.tokens[token], headers=told, timeout=70)

    def operate(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """A request of an administrator that must be taken."""
        answer = call(method, self.trackside.url + path, body=body, token=self.trackside.admin_token)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:400]!r}")
        return answer.json()

    def start(self, job: str, customer: str, **headers: str) -> dict[str, object]:
        """Asks for a run."""
        return self.start_with(job, {"customer": customer}, **headers)

    def start_with(self, job: str, body: object, **headers: str) -> dict[str, object]:
        """Asks for a run with any input."""
        answer = self.ask("POST", f"/jobs/{job}/runs", body, **headers)
        if not answer.ok:
            raise RuntimeError(f"starting {job}: {answer.status} {answer.body[:400]!r}")
        return answer.json()

    def run(self, run: Mapping[str, object], wait: int = 0, token: str = "etl") -> dict[str, object]:
        """A run as it stands, or after its end when it comes within `wait` seconds."""
        return self.ask("GET", f"/jobs/{run['job']}/runs/{run['id']}?wait={wait}", token=token).json()

    def done(self, run: Mapping[str, object], token: str = "etl") -> dict[str, object]:
        """A run after its end."""
        return dict(wait_until(f"the end of {run['job']}", lambda: (now := self.run(run, 20, token))["done"] and now, END_SECONDS))


def new_key() -> str:
    """An `Idempotency-Key`."""
    return uuid.uuid4().hex


def make(checks: Checks, bench: Bench, python: Path, ends: FarEnds, azure: AzureSite, wire: Wire, port: int) -> World:
    """Starts Trackside with the example's jobs, and the API."""
    tokens = {name: secrets.token_hex(24) for name in ("airflow", "etl", "other", "releaser")}
    gateway = f"127.0.0.1:{free_port()}"
    names = {name: f"{name.upper()}_TOKEN" for name in tokens}
    trackside = Trackside(bench, Settings(
        far_end=ends.url, owners="  default: platform", sections=_sections(azure.url, gateway),
        tokens="\n".join(
            f"  - {{name: {name}, role: {'approver' if name == 'releaser' else 'service'}, secret: {{env: {variable}}}}}"
            for name, variable in names.items() if name != "airflow"
        ),
        env={variable: tokens[name] for name, variable in names.items()},
    ))  # fmt: skip
    example = (EXAMPLE / "jobs.yaml").read_text()
    checks.equal("the example's jobs call one address", example.count(EXAMPLE_ADDRESS), 1)
    (trackside.folder / "config" / "example.yaml").write_text(example.replace(EXAMPLE_ADDRESS, wire.url))
    trackside.start()
    api = Api(bench, python, port)
    api.start(trackside.url)
    return World(checks, ends, bench, trackside, api, wire, azure, f"http://{gateway}", tokens)


def _sections(azure: str, gateway: str) -> str:
    """What the suite has beside the example."""
    return f"""\
gateway: {{listen: "{gateway}"}}
routes:
  features:
    match: {{path: "/**"}}
    upstream: features
    identity_headers: {{subject: x-caller, roles: x-caller-roles}}
    credential: connection
connections:
  shop:
    kind: app_service
    url: {azure}
    subscription: 00000000-0000-0000-0000-000000000000
    resource_group: shop
    site: shop
    management: {{kind: azure_managed_identity, resource: "{RESOURCE}", endpoint: "{azure}/metadata/identity/oauth2/token"}}
    management_url: {azure}
    deployment_url: {azure}
jobs:
  careless:
    owner: payments
    target: {{kind: http, connection: features, path: /careless}}
  tried-once:
    target: {{kind: http, connection: features, path: /refresh, idempotency: key}}
    retry: {{attempts: 1}}
  one-by-one:
    target: {{kind: http, connection: features, path: /careless}}
    concurrency: 1
    per_caller: 2
  report:
    target: {{kind: http, connection: features, path: /reports, mode: {{kind: callback}}}}
    timeout: 10m
  careful:
    needs: [service, approver]
    target: {{kind: http, connection: features, path: /careless}}
    approval: {{any_of: [{{all_of: [{{from: [approvers]}}]}}], justification: required}}
  restart:
    target: {{kind: app_service, connection: shop, action: {{do: restart, slot: staging}}}}
  swap:
    target: {{kind: app_service, connection: shop, action: {{do: swap_slots, source: staging}}}}
  deploy:
    target: {{kind: app_service, connection: shop, action: {{do: zip_deploy, slot: staging}}}}
    input: {{type: object, required: [package_url], properties: {{package_url: {{type: string, format: uri}}}}}}
"""
