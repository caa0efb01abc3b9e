"""Somebody agrees in Slack: a job waits for it, `slack_sdk` signs what is pressed, and the message shows what came of it."""

from __future__ import annotations

import json
import time
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

from answers import ANA, API, CHANNEL, SIGNING
from slack_sdk.signature import SignatureVerifier

from lib.http import Answer, call

if TYPE_CHECKING:
    from run import World

SECONDS = 20
STRANGER = "U0000STRANGER"


def connections(far_end: str) -> str:
    return f'  careful: {{kind: http, url: "{far_end}"}}'


def sections() -> str:
    """A job that Ana must agree to."""
    return """\
jobs:
  careful:
    target: {kind: http, connection: careful, path: /careful}
    approval: {any_of: [{all_of: [{from: ["person:ana"]}]}], justification: required, notify: [chat]}
"""


def run(world: World, token: str) -> None:
    approved(world, token)
    denied(world, token)


def approved(world: World, token: str) -> None:
    checks = world.checks
    job = _start(world, token)
    question = _question(world, job)
    post = _wait(world, "the question is a message in the channel", lambda: _sent(world, "chat.postMessage", question["id"], CHANNEL))
    checks.equal("it has the buttons", _labels(post), ["Approve", "Deny"])
    checks.equal("a stranger's press is taken", _press(world, post, "trackside.approve", STRANGER).status, 200)
    _wait(world, "the stranger is told why it does not count", lambda: _sent(world, "chat.postMessage", "not counted", STRANGER))
    checks.equal("and it does not", _question(world, job)["state"], "open")
    checks.equal("Ana's press is taken", _press(world, post, "trackside.approve", ANA).status, 200)
    checks.eventually("the question is approved", lambda: _question(world, job)["state"] == "approved", SECONDS)
    voices = [(voice["who"], voice["via"], voice["says"]) for voice in _question(world, job)["voices"]]
    checks.equal("by Ana, in Slack", voices, [("ana", "slack", "approve")])
    checks.eventually("the call is made", lambda: [m for m in world.ends.all() if m.path == "/careful"], SECONDS)
    edit = _wait(world, "the message is edited", lambda: _sent(world, "chat.update", question["id"], CHANNEL))
    checks.check("it shows the end and no button", "Approved" in edit["text"] and not _labels(edit), edit)
    late = _press(world, post, "trackside.deny", ANA)
    checks.equal("a late press is taken", late.status, 200)
    _wait(world, "and told that it is over", lambda: _sent(world, "chat.postMessage", "cannot be decided again", ANA))


def denied(world: World, token: str) -> None:
    checks = world.checks
    calls = len([m for m in world.ends.all() if m.path == "/careful"])
    job = _start(world, token)
    question = _question(world, job)
    post = _wait(world, "another question is a message", lambda: _sent(world, "chat.postMessage", question["id"], CHANNEL))
    _press(world, post, "trackside.deny", ANA)
    checks.eventually("the question is denied", lambda: _question(world, job)["state"] == "denied", SECONDS)
    checks.eventually("and so is the run", lambda: _run(world, token, job)["state"] == "denied", SECONDS)
    checks.equal("no call was made", len([m for m in world.ends.all() if m.path == "/careful"]), calls)


def _start(world: World, token: str) -> str:
    headers = {"Idempotency-Key": uuid.uuid4().hex, "Trackside-Justification": "the file was wrong"}
    url = f"{world.trackside.url}/jobs/careful/runs"
    answer = call("POST", url, body={}, token=token, headers=headers, tls=world.tls)
    world.checks.equal("the run is accepted", answer.status, 202)
    return str(answer.json()["id"])


def _run(world: World, token: str, job: str) -> dict[str, Any]:
    return call("GET", f"{world.trackside.url}/jobs/careful/runs/{job}", token=token, tls=world.tls).json()


def _question(world: World, job: str) -> dict[str, Any]:
    items = world.trackside.get("/api/v1/approvals?about=job%20careful")["items"]
    return next(item for item in items if item["run"] == job)


def _sent(world: World, method: str, about: str, channel: str) -> list[dict[str, Any]]:
    messages = [message.json for message in world.ends.all() if message.path == f"{API}/{method}"]
    mine = [message for message in messages if about in json.dumps(message) and message["channel"] == channel]
    return [message for message in mine if "thread_ts" not in message]


def _wait(world: World, what: str, look: Any) -> dict[str, Any]:
    world.checks.eventually(what, look, SECONDS)
    found = look()
    if not found:
        raise RuntimeError(f"the suite cannot go on without: {what}")
    return found[-1]


def _labels(message: dict[str, Any]) -> list[str]:
    buttons = [block for block in message.get("blocks", []) if block["type"] == "actions"]
    return [element["text"]["text"] for block in buttons for element in block["elements"]]


def _press(world: World, message: dict[str, Any], action_id: str, user: str) -> Answer:
    """What Slack sends when somebody presses, signed by `slack_sdk`."""
    elements = [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]
    button = next(element for element in elements if element["action_id"] == action_id)
    action = {"type": "button", "action_id": action_id, "value": button["value"], "action_ts": f"{time.time():.6f}"}
    payload = {
        "type": "block_actions", "user": {"id": user, "username": "somebody"}, "trigger_id": uuid.uuid4().hex,
        "container": {"message_ts": "1.2", "channel_id": CHANNEL}, "message": message, "actions": [action],
    }
    body = urllib.parse.urlencode({"payload": json.dumps(payload)})
    now = str(int(time.time()))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded", "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": SignatureVerifier(SIGNING).generate_signature(timestamp=now, body=body),
    }
    url = f"{world.trackside.url}/api/v1/slack/interactivity/chat"
    return call("POST", url, raw=body.encode(), headers=headers, tls=world.tls)
