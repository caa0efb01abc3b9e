"""The real `trackside` binary under test: its configuration folder, its life, its HTTP API."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import sys
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from lib.checks import MissingPart
from lib.http import Answer, call
from lib.processes import Bench, Child, free_port, wait_until
from lib.venvs import ROOT

START_SECONDS = 20
PAGE = 500

TEAMS = ("payments", "ml", "platform")


def binary() -> Path:
    """`TRACKSIDE_BIN`, else the newest of the release and the debug build in the clone."""
    named = os.environ.get("TRACKSIDE_BIN")
    if named:
        if not os.access(named, os.X_OK):
            raise MissingPart(f"TRACKSIDE_BIN={named} is not an executable file")
        return Path(named)
    builds = [path for path in (ROOT / "target" / kind / "trackside" for kind in ("release", "debug")) if path.exists()]
    if not builds:
        raise MissingPart("the trackside binary; build it with `cargo build --release`")
    return max(builds, key=lambda path: path.stat().st_mtime)


@dataclass
class Settings:
    """What a suite decides about the server; the rest is the same everywhere."""

    far_end: str
    owners: str
    rules: str = "  - {name: failed, when: {failed: {}}}"
    connections: str = ""
    server: str = ""
    tokens: str = ""
    sections: str = ""
    notify: dict[str, tuple[str, ...]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


class Trackside:
    """One server: three teams, each with its own PagerDuty key and Slack webhook at the far ends of the suite."""

    def __init__(self, bench: Bench, settings: Settings, *, scheme: str = "http", ca: Path | None = None) -> None:
        self._bench = bench
        self._binary = binary()
        self._child: Child | None = None
        self._starts = 0
        self._tls = ssl.create_default_context(cafile=ca) if ca else None
        port = free_port()
        self.authority = f"127.0.0.1:{port}"
        self.url = f"{scheme}://{self.authority}"
        self.ingest_token = secrets.token_hex(24)
        self.viewer_token = secrets.token_hex(24)
        self.admin_token = secrets.token_hex(24)
        self.folder = bench.folder / "trackside"
        (self.folder / "config").mkdir(parents=True)
        self._env = self._environment(settings)
        (self.folder / "config" / "trackside.yaml").write_text(self._yaml(settings))
        if settings.sections:
            (self.folder / "config" / "more.yaml").write_text(settings.sections)

    def start(self) -> None:
        """Starts the server and waits until it says that it is ready."""
        self._starts += 1
        argv = [self._binary, "serve", "--config", self.folder / "config"]
        self._child = self._bench.start(f"trackside-{self._starts}", argv, self._env)
        try:
            wait_until("trackside ready", self._ready, START_SECONDS)
        except TimeoutError:
            print(self._child.tail(), file=sys.stderr)
            raise

    def stop(self) -> int:
        """Asks it to end; the exit code."""
        return self._running().stop()

    def reload(self) -> None:
        """Asks it to read its configuration again."""
        self._running().hang_up()

    def kill(self) -> None:
        """`kill -9`."""
        self._running().kill()

    def get(self, path: str) -> object:
        """Asks its API as a viewer and returns the JSON."""
        answer = self.ask(path)
        if not answer.ok:
            raise ValueError(f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    def ask(self, path: str) -> Answer:
        """Asks its API as a viewer."""
        return call("GET", self.url + path, token=self.viewer_token, tls=self._tls)

    def events(self, event: str) -> list[dict[str, object]]:
        """Every stored event of this name, newest first, from all pages of the list."""
        found: list[dict[str, object]] = []
        query: dict[str, object] = {"name": event, "limit": PAGE}
        while True:
            page = self.get(f"/api/v1/events?{urllib.parse.urlencode(query)}")
            found += [item for item in page["items"] if item["event"] == event]
            if not page.get("next"):
                return found
            query["before"] = page["next"]

    def log(self) -> str:
        """Everything the server has written, over all its starts."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._bench.folder.glob("trackside-*.log")))

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("trackside has not been started")
        return self._child

    def _ready(self) -> bool:
        child = self._running()
        if child.exit_code is not None:
            raise MissingPart(f"trackside ended with {child.exit_code} at start:\n{child.tail()}")
        return call("GET", f"{self.url}/readyz", timeout=2, tls=self._tls).ok

    def _environment(self, settings: Settings) -> dict[str, str]:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        env |= {"INGEST_TOKEN": self.ingest_token, "VIEWER_TOKEN": self.viewer_token, "ADMIN_TOKEN": self.admin_token, "RUST_BACKTRACE": "1"}
        for team in TEAMS:
            env[f"PD_{team.upper()}"] = routing_key(team)
            env[f"SLACK_{team.upper()}"] = settings.far_end + slack_path(team)
        return env | settings.env

    def _yaml(self, settings: Settings) -> str:
        lines = [
            "server:",
            f"  listen: {self.authority}",
            f"  data: {json.dumps(str(self.folder / 'data'))}",
            f"  public_url: {self.url}",
            *([settings.server] if settings.server else []),
            "teams:",
            *(_team(team, settings.notify.get(team, ())) for team in TEAMS),
            "owners:",
            settings.owners,
            "rules:",
            settings.rules,
            "connections:",
        ]
        for team in TEAMS:
            name = team.upper()
            lines += [
                f"  pd-{team}: {{kind: pagerduty, routing_key: {{env: PD_{name}}}, url: \"{settings.far_end}\"}}",
                f"  slack-{team}: {{kind: slack, webhook_url: {{env: SLACK_{name}}}}}",
            ]
        lines += [
            *([settings.connections] if settings.connections else []),
            "tokens:",
            "  - {name: suite, role: ingest, secret: {env: INGEST_TOKEN}}",
            "  - {name: reader, role: viewer, secret: {env: VIEWER_TOKEN}}",
            "  - {name: builder, role: admin, secret: {env: ADMIN_TOKEN}}",
            *([settings.tokens] if settings.tokens else []),
        ]
        return "\n".join(lines) + "\n"


def _team(team: str, more: tuple[str, ...]) -> str:
    ways = (f"pd-{team}", f"slack-{team}", *more)
    return f"  {team}: {{notify: [{', '.join(f'{{via: {way}}}' for way in ways)}]}}"


def routing_key(team: str) -> str:
    """The PagerDuty integration key of a team (32 characters, as real ones)."""
    return f"{team}-integration-key".ljust(32, "0")


def slack_path(team: str) -> str:
    """The path of a team's incoming webhook."""
    return f"/services/T0SUITE/B0{team.upper()}/{'x' * 24}"
