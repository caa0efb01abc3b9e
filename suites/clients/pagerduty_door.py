"""PagerDuty's own client (`pagerduty`) against `/v2/enqueue` and `/v2/change/enqueue`. The routing key is the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pagerduty

from lib.told import check_told_once
from lib.trackside import routing_key

if TYPE_CHECKING:
    from run import World

KEY = "disk-full-on-db-7"
SECONDS = 15


def run(world: World) -> None:
    checks, ends = world.checks, world.ends
    client = _client(world, world.payments_token)

    key = client.trigger(
        "db-7: disk 97 % full", "db-7", dedup_key=KEY, severity="critical",
        custom_details={"mount": "/var", "hint": "password=hunter-2718281"},
        links=[{"href": "https://example.net/runbook", "text": "runbook"}],
    )
    checks.equal("trigger answers with the sender's key", key, KEY)
    check_told_once(checks, ends, "db-7", "payments", SECONDS)
    checks.equal("the severity is passed on", [_severity(page) for page in ends.pages("trigger", "db-7")], ["critical"])
    checks.check("a password in the details does not leave", all("hunter-2718281" not in m.text for m in ends.all()))

    client.trigger("db-7: disk 98 % full", "db-7", dedup_key=KEY, severity="critical")
    checks.equal("acknowledge answers with the key", client.acknowledge(KEY), KEY)
    checks.eventually("the acknowledge reaches the far end", lambda: ends.pages("acknowledge"), SECONDS)
    checks.equal("resolve answers with the key", client.resolve(KEY), KEY)
    checks.eventually("the resolve reaches the far end", lambda: ends.pages("resolve"), SECONDS)
    keys = {page["dedup_key"] for page in ends.pages() if page["routing_key"] == routing_key("payments")}
    checks.equal("trigger, acknowledge and resolve carry one key", len(keys), 1)

    made = client.trigger("no key given", "cron-3")
    checks.check("a trigger without a key gets one", bool(made), made)
    checks.equal("and can be resolved by it", client.resolve(made), made)

    client.send_change_event({"summary": "deployed orders 4.2", "source": "ci", "custom_details": {"build": 42}})
    checks.check("a change event is accepted", True)
    _refusals(world, client)


def _refusals(world: World, client: pagerduty.EventsApiV2Client) -> None:
    checks = world.checks
    stranger = _client(world, "0" * 32)
    checks.check("an unknown routing key is refused", _refused(lambda: stranger.trigger("x", "y")))
    wrong = {"event_action": "trigger", "payload": {"summary": "s", "source": "x", "severity": "terrible"}}
    answer = client.post("/v2/enqueue", json=wrong)
    checks.equal("a wrong severity is a 400", answer.status_code, 400)
    checks.check("which says what is allowed", "critical" in answer.text and "severity" in answer.text, answer.text)


def _refused(call: object) -> bool:
    try:
        call()
    except pagerduty.Error:
        return True
    return False


def _client(world: World, key: str) -> pagerduty.EventsApiV2Client:
    return pagerduty.EventsApiV2Client(key, base_url=world.trackside.url, verify=world.tls)


def _severity(page: dict) -> str:
    return page["payload"]["severity"]
