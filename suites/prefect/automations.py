"""Prefect's tutorial with only the URL changed: its real command line makes blocks and automations on Trackside, and a
real Prefect server's failing flows set them off.

A message at the first failure, a page at the third; pausing, resuming and deleting; nothing of a secret comes back.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from lib.checks import Checks
from lib.farends import FarEnds
from lib.processes import Bench
from lib.trackside import Trackside
from prefect_server import Prefect, base_env

TUTORIAL = Path(__file__).parent / "tutorial.py"
COMMAND_SECONDS = 60
TOLD_SECONDS = 30
QUIET_SECONDS = 4
FLOW = "fails_repeatedly"
NAME = "fails-repeatedly"
SLACK = "/services/T0TUTORIAL/B0ALERTS/" + "y" * 24
PAGER = "/services/pager"


class Cli:
    """The `prefect` command, pointed at Trackside."""

    def __init__(self, bench: Bench, python: Path, trackside: Trackside) -> None:
        home = bench.folder / "prefect-cli"
        home.mkdir()
        self._python = python
        self._env = base_env(home) | {
            "PREFECT_API_URL": f"{trackside.url}/api",
            "PREFECT_API_AUTH_STRING": f"suite:{trackside.admin_token}",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command and keeps what it says."""
        return self._run([str(self._python.parent / "prefect"), *arguments])

    def tutorial(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the tutorial's Python."""
        return self._run([str(self._python), str(TUTORIAL), *arguments])

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, env=self._env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )


def automations(
    checks: Checks, bench: Bench, python: Path, prefect: Prefect, trackside: Trackside, ends: FarEnds
) -> None:
    """Everything in the order of the tutorial."""
    cli = Cli(bench, python, trackside)
    slack, pager = blocks(checks, cli, ends)
    if slack is None or pager is None:
        return
    first = write(bench, "first", first_failure(slack))
    third = write(bench, "third", third_failure(pager))
    for file in (first, third):
        succeeds(checks, cli, "automation", "create", "--from-file", str(file))
    listed = succeeds(checks, cli, "automation", "ls")
    for name in ("suite first", "suite third"):
        checks.check(f"`automation ls` lists {name}", name in listed)
    inspected = succeeds(checks, cli, "automation", "inspect", "suite first", "--json")
    checks.check("`automation inspect` shows the trigger as written", "prefect.flow-run.Failed" in inspected)
    tiers(checks, prefect, ends)
    pausing(checks, cli, prefect, ends)
    succeeds(checks, cli, "automation", "delete", "suite third")
    checks.check("a deleted automation is gone", "suite third" not in succeeds(checks, cli, "automation", "ls"))
    succeeds(checks, cli, "block", "delete", "custom-webhook/pager")
    checks.check("a deleted block is gone", "pager" not in succeeds(checks, cli, "block", "ls"))


def blocks(checks: Checks, cli: Cli, ends: FarEnds) -> tuple[str | None, str | None]:
    """Blocks are saved from Python, listed and inspected; their secrets stay where they are."""
    types = succeeds(checks, cli, "block", "type", "ls")
    checks.check("`block type ls` knows Slack", "slack-webhook" in types)
    saved = cli.tutorial("save", ends.url + SLACK, ends.url + PAGER)
    checks.check("blocks are saved from Python", saved.returncode == 0, saved.stderr[-2000:])
    ids = saved.stdout.split()
    if len(ids) != 2:
        return None, None
    listed = succeeds(checks, cli, "block", "ls")
    checks.check("`block ls` lists them", "slack-webhook/alerts" in listed and "custom-webhook/pager" in listed)
    inspected = succeeds(checks, cli, "block", "inspect", "slack-webhook/alerts")
    loaded = cli.tutorial("load")
    checks.equal("SlackWebhook.load()", loaded.returncode, 0)
    for what, text in (("block inspect", inspected), ("SlackWebhook.load()", loaded.stdout)):
        checks.check(f"`{what}` gives no secret away", SLACK not in text)
    return ids[0], ids[1]


def tiers(checks: Checks, prefect: Prefect, ends: FarEnds) -> None:
    """A message for every failure, a page at the third."""
    prefect.run(FLOW)
    checks.eventually("the first failure posts to Slack", lambda: len(ends.slack(SLACK, NAME)) == 1, TOLD_SECONDS)
    checks.equal("one failure pages nobody", len(ends.slack(PAGER)), 0)
    prefect.run(FLOW, FLOW)
    checks.eventually("the third failure pages", lambda: len(ends.slack(PAGER)) == 1, TOLD_SECONDS)
    checks.equal("every failure posted once", len(ends.slack(SLACK, NAME)), 3)
    text = ends.slack(SLACK, NAME)[0].text
    checks.check("the message is rendered", "upstream is down" in text and "{{" not in text)
    checks.check("the page names the flow", NAME in ends.slack(PAGER)[0].text)


def pausing(checks: Checks, cli: Cli, prefect: Prefect, ends: FarEnds) -> None:
    """A paused automation is silent, a resumed one is not."""
    succeeds(checks, cli, "automation", "pause", "suite first")
    before = len(ends.slack(SLACK, NAME))
    prefect.run(FLOW)
    time.sleep(QUIET_SECONDS)
    checks.equal("a paused automation says nothing", len(ends.slack(SLACK, NAME)), before)
    succeeds(checks, cli, "automation", "resume", "suite first")
    prefect.run(FLOW)
    checks.eventually("a resumed one does", lambda: len(ends.slack(SLACK, NAME)) == before + 1, TOLD_SECONDS)


def succeeds(checks: Checks, cli: Cli, *arguments: str) -> str:
    """Runs a command that must succeed; what it said."""
    done = cli.prefect(*arguments)
    said = done.stdout + done.stderr
    checks.check(f"`prefect {' '.join(arguments[:3])}` succeeds", done.returncode == 0, said[-2000:])
    return said


def write(bench: Bench, name: str, body: dict[str, object]) -> Path:
    """A file for `--from-file`; JSON is what `automation inspect --json` gives."""
    file = bench.folder / f"automation-{name}.json"
    file.write_text(json.dumps(body))
    return file


def failure_trigger(**more: object) -> dict[str, object]:
    return {
        "type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Failed"],
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.role": "flow", "prefect.resource.name": NAME},
    } | more


def first_failure(block: str) -> dict[str, object]:
    body = "{{ flow.name }} is {{ flow_run.state.name }}: {{ flow_run.state.message }}"
    action = {"type": "send-notification", "block_document_id": block, "subject": "Flow failed", "body": body}
    return {"name": "suite first", "description": "every failure", "enabled": True, "trigger": failure_trigger(), "actions": [action]}


def third_failure(block: str) -> dict[str, object]:
    trigger = failure_trigger(threshold=3, within=600, for_each=["related:flow:prefect.resource.id"])
    action = {"type": "send-notification", "block_document_id": block, "subject": "Three failures", "body": "{{ flow.name }}"}
    return {"name": "suite third", "description": "three in ten minutes", "enabled": True, "trigger": trigger, "actions": [action]}
