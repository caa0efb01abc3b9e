"""The one question all suites ask: was the right team told of this pipeline, once, and nobody else?"""

from __future__ import annotations

import time
from collections.abc import Mapping

from lib.checks import Checks
from lib.farends import FarEnds
from lib.trackside import TEAMS, routing_key, slack_path


# Even when the common time is over, each pipeline gets a moment of its own.
LEAST_SECONDS = 0.5


def check_all_told_once(checks: Checks, ends: FarEnds, owners: Mapping[str, str], seconds: float) -> None:
    """`check_told_once` for every pipeline and its team, `seconds` for all of them together."""
    deadline = time.monotonic() + seconds
    for pipeline, team in owners.items():
        check_told_once(checks, ends, pipeline, team, max(LEAST_SECONDS, deadline - time.monotonic()))


def check_told_once(checks: Checks, ends: FarEnds, pipeline: str, team: str, seconds: float) -> None:
    """Exactly one trigger, under the team's key, with the fields the contract requires; Slack told the same team."""
    if not checks.eventually(f"{pipeline} is paged", lambda: ends.pages("trigger", pipeline), seconds):
        return
    pages = ends.pages("trigger", pipeline)
    checks.equal(f"{pipeline} is paged once", len(pages), 1)
    page = pages[0]
    checks.equal(f"{pipeline} is paged to {team}", page["routing_key"], routing_key(team))
    payload = page.get("payload", {})
    complete = bool(page.get("dedup_key")) and all(payload.get(part) for part in ("summary", "source", "severity"))
    checks.check(f"{pipeline} has a complete page", complete, page)
    checks.eventually(
        f"{pipeline} is told to {team} in Slack", lambda: ends.slack(slack_path(team), pipeline), seconds
    )
    others = [other for other in TEAMS if other != team and ends.slack(slack_path(other), pipeline)]
    checks.equal(f"{pipeline} is told to no other team in Slack", others, [])


def check_silence(checks: Checks, ends: FarEnds, pipeline: str) -> None:
    """Nobody has heard of this pipeline."""
    checks.equal(f"nobody is told of {pipeline}", [m.path for m in ends.all() if pipeline in m.text], [])
