"""People answer to messages: buttons in Slack, webhooks of PagerDuty, links in mails. An answer stops the escalation.

`slack_sdk` signs what Slack would send and judges every block that Trackside posts; PagerDuty's webhooks are signed as its
documentation says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier

from lib.http import Answer, call

if TYPE_CHECKING:
    from outgoing import Mailbox
    from run import World

SECONDS = 20
ANA = "U061F7AUR"
CHANNEL = "C0123456789"
API = "/slackapi"
SIGNING, OLD_SECRET, NEW_SECRET = (secrets.token_hex(16) for _ in range(3))
ROUTING_KEY = "answers-integration-key".ljust(32, "0")
ENV = {"SLACK_SIGNING": SIGNING, "PD_BACK_OLD": OLD_SECRET, "PD_BACK_NEW": NEW_SECRET, "PD_ANSWERS": ROUTING_KEY}
OWNERS = "  rules: [{match: {pipeline: answered-*}, team: answers}]"
SEVERITIES = {"critical", "error", "warning", "info"}


def sections(far_end: str) -> str:
    """A team whose far ends tell back. Ana is paged after a second in a direct message, and so on until somebody has it."""
    return f"""\
teams:
  answers: {{notify: [{{via: chat}}, {{via: pager}}, {{via: mail}}], escalation: answers}}
people:
  ana: {{name: Ana, aliases: [{ANA}, PLH1HKV], contacts: [{{via: chat, to: {ANA}}}]}}
escalations:
  answers:
    steps: [{{after: 1s, targets: ["person:ana"]}}, {{after: 3s, targets: ["channel:chat"]}}]
    repeat: {{times: 50, every: 2s}}
connections:
  chat:
    kind: slack
    token: {{env: INGEST_TOKEN}}
    channel: {CHANNEL}
    api_url: "{far_end}{API}"
    signing_secret: {{env: SLACK_SIGNING}}
    delivery: {{rate_per_second: 100, burst: 100}}
  pager:
    kind: pagerduty
    routing_key: {{env: PD_ANSWERS}}
    url: "{far_end}"
    webhook_secrets: [{{env: PD_BACK_OLD}}, {{env: PD_BACK_NEW}}]
"""


def run(world: World, mailbox: Mailbox) -> None:
    slack(world)
    pagerduty(world)
    links(world, mailbox)
    blocks(world)
    pages(world)


def slack(world: World) -> None:
    """A page, a reminder, and a button that ends both."""
    checks = world.checks
    key = _fails(world, "answered-slack")
    post = _wait(world, "the incident is a message in the channel", lambda: _posts(world, key, CHANNEL))
    checks.equal("it has the buttons", _labels(post), ["Acknowledge", "Snooze 1 h", "Escalate", "Resolve"])
    _wait(world, "Ana is paged in a direct message", lambda: _posts(world, key, ANA))
    reminder = _wait(world, "the channel is reminded", lambda: _replies(world, key))
    checks.check("in the thread, for all to see", reminder["reply_broadcast"] and "Nobody has it" in reminder["text"], reminder)

    body = _press(post, "trackside.acknowledge")
    verifier = SignatureVerifier(SIGNING)
    now = str(int(time.time()))
    mine = "v0=" + hmac.new(SIGNING.encode(), f"v0:{now}:{body}".encode(), hashlib.sha256).hexdigest()
    checks.check("slack_sdk accepts what is signed here", verifier.is_valid(body, now, mine))
    checks.equal("another body is refused", _interact(world, body + "x", now, mine).status, 401)
    checks.equal("an old time is refused", _interact(world, body, str(int(now) - 301), mine).status, 401)
    signed = verifier.generate_signature(timestamp=now, body=body)
    checks.equal("what slack_sdk signs is taken", _interact(world, body, now, signed).status, 200)
    _acknowledged(world, "answered-slack", "ana")
    checks.eventually("PagerDuty hears of it", lambda: _pages(world, "acknowledge", key), SECONDS)
    checks.eventually("the message loses the button", lambda: "Acknowledge" not in _labels(_last(world, key)), SECONDS)
    _stopped(world, "answered-slack")
    checks.equal("the other buttons stay", _labels(_last(world, key)), ["Snooze 1 h", "Escalate", "Resolve"])
    resolve = _press(_last(world, key), "trackside.resolve")
    signed = verifier.generate_signature(timestamp=now, body=resolve)
    checks.equal("a second button is taken", _interact(world, resolve, now, signed).status, 200)
    checks.eventually("the message loses all buttons", lambda: not _labels(_last(world, key)), SECONDS)


def pagerduty(world: World) -> None:
    """Out as an event, back as a webhook."""
    checks = world.checks
    key = _fails(world, "answered-pagerduty")
    _wait(world, "PagerDuty is paged", lambda: _pages(world, "trigger", key))
    checks.equal("a ping is taken", _webhook(world, NEW_SECRET, "pagey.ping", None).status, 202)
    checks.equal("an unknown type is taken", _webhook(world, OLD_SECRET, "incident.never_heard_of", key).status, 202)
    checks.equal("another secret is refused", _webhook(world, "x", "incident.acknowledged", key).status, 401)
    event = str(uuid.uuid4())
    for attempt in ("first", "repeated"):
        answer = _webhook(world, NEW_SECRET, "incident.acknowledged", key, event)
        checks.equal(f"the {attempt} acknowledgement is taken", answer.status, 202)
    _acknowledged(world, "answered-pagerduty", "ana")
    checks.eventually("Slack shows who has it", lambda: "Acknowledge" not in _labels(_last(world, key)), SECONDS)
    _stopped(world, "answered-pagerduty")
    checks.equal("it is not sent back to where it came from", _pages(world, "acknowledge", key), [])
    checks.equal("the end is taken", _webhook(world, OLD_SECRET, "incident.resolved", key).status, 202)
    checks.eventually("it is over", lambda: _incident(world, "answered-pagerduty")["state"] == "resolved", SECONDS)
    checks.equal("and the end is not sent back", _pages(world, "resolve", key), [])


def links(world: World, mailbox: Mailbox) -> None:
    """A link in a mail asks first and acts once."""
    from outgoing import body_of

    checks = world.checks
    _fails(world, "answered-mail")
    pattern = re.compile(r"Acknowledge: (https://\S+/act/\S+)")

    def found() -> list[str]:
        return [match[1] for mail in mailbox.about("answered-mail") if (match := pattern.search(body_of(mail)))]

    link = _wait(world, "the mail has a link", found)
    page = call("GET", link, tls=world.tls)
    checks.check("it leads to a question", page.status == 200 and b'method="post"' in page.body, page.status)
    checks.equal("which changes nothing", _incident(world, "answered-mail")["state"], "triggered")
    checks.equal("the button acts", call("POST", link, raw=b"", tls=world.tls).status, 200)
    _acknowledged(world, "answered-mail", "oncall@example.net")
    checks.equal("once", call("POST", link, raw=b"", tls=world.tls).status, 410)
    checks.equal("a changed link does nothing", call("GET", link + "x", tls=world.tls).status, 403)
    checks.check("the log does not have it", link.rsplit("/", 1)[1] not in world.trackside.log())


def blocks(world: World) -> None:
    """Every message to the Web API, of every kind, is valid to `slack_sdk`."""
    sent = [message.json for message in world.ends.all() if message.path.startswith(f"{API}/")]
    kinds = {block["type"] for message in sent for block in message.get("blocks", [])}
    world.checks.check("messages with buttons were sent", "actions" in kinds, kinds)
    faults = []
    for message in sent:
        try:
            for block in Block.parse_all(message.get("blocks", [])):
                block.validate_json()
        except Exception as error:  # noqa: BLE001 - the library's own error types are many
            faults.append(f"{error} in {message}")
    world.checks.equal("slack_sdk finds every block valid, buttons too", faults, [])


def pages(world: World) -> None:
    """Every event to PagerDuty keeps the rules of Events API v2."""
    faults = []
    for event in world.ends.pages():
        payload = event.get("payload", {})
        trigger = event["event_action"] == "trigger"
        rules = {
            "action": event["event_action"] in {"trigger", "acknowledge", "resolve"},
            "dedup_key": 1 <= len(event.get("dedup_key", "")) <= 255,
            "routing_key": len(event.get("routing_key", "")) == 32,
            "size": len(json.dumps(event)) <= 512 * 1024,
            "summary": not trigger or 1 <= len(payload.get("summary", "")) <= 1024,
            "source": not trigger or bool(payload.get("source")),
            "severity": not trigger or payload.get("severity") in SEVERITIES,
            "details": isinstance(payload.get("custom_details", {}), dict),
            "links": all(link.get("href") for link in event.get("links", [])),
            "client_url": trigger or "client_url" not in event,
        }
        faults += [(rule, event) for rule, kept in rules.items() if not kept]
    world.checks.equal("every page keeps PagerDuty's rules", faults, [])


def _fails(world: World, pipeline: str) -> str:
    """A run of the pipeline fails; the id of its incident."""
    event = {
        "id": str(uuid.uuid4()), "event": "suite.run", "source": "suite",
        "run": {"pipeline": pipeline, "run_id": "1", "state": "failed", "error": "disk full"},
    }
    answer = call("POST", f"{world.trackside.url}/api/v1/events", body=event, token=world.trackside.ingest_token, tls=world.tls)
    world.checks.check(f"the failure of {pipeline} is taken", answer.ok, answer)
    return str(_wait(world, f"{pipeline} has an incident", lambda: [_incident(world, pipeline)])["id"])


def _incident(world: World, pipeline: str) -> dict[str, Any]:
    items = world.trackside.get(f"/api/v1/incidents?pipeline={pipeline}")["items"]
    return items[0] if items else {}


def _acknowledged(world: World, pipeline: str, who: str) -> None:
    def stands() -> bool:
        incident = _incident(world, pipeline)
        return (incident["state"], incident.get("acknowledged_by")) == ("acknowledged", who)

    world.checks.eventually(f"{who} has {pipeline}", stands, SECONDS)


def _stopped(world: World, pipeline: str) -> None:
    course = world.trackside.get(f"/api/v1/incidents/{_incident(world, pipeline)['number']}")["course"]
    world.checks.equal(f"no page of {pipeline} is to come", course["to_come"], [])


def _wait(world: World, what: str, look: Any) -> Any:
    """The first of what there is to see, once there is something."""
    world.checks.eventually(what, lambda: any(look()), SECONDS)
    found = [item for item in look() if item]
    if not found:
        raise RuntimeError(f"the suite cannot go on without: {what}")
    return found[0]


def _pages(world: World, action: str, key: str) -> list[dict[str, Any]]:
    events = world.ends.pages(action)
    return [event for event in events if (event["dedup_key"], event["routing_key"]) == (key, ROUTING_KEY)]


def _sent(world: World, method: str, key: str) -> list[dict[str, Any]]:
    messages = [message.json for message in world.ends.all() if message.path == f"{API}/{method}"]
    return [message for message in messages if key in json.dumps(message)]


def _posts(world: World, key: str, channel: str) -> list[dict[str, Any]]:
    posts = _sent(world, "chat.postMessage", key)
    return [post for post in posts if post["channel"] == channel and "thread_ts" not in post]


def _replies(world: World, key: str) -> list[dict[str, Any]]:
    replies = _sent(world, "chat.postMessage", key)
    return [reply for reply in replies if "thread_ts" in reply and "reply_broadcast" in reply]


def _last(world: World, key: str) -> dict[str, Any]:
    """The incident's message in the channel as it reads now."""
    edits = [edit for edit in _sent(world, "chat.update", key) if edit["channel"] == CHANNEL]
    return (edits or _posts(world, key, CHANNEL))[-1]


def _labels(message: dict[str, Any]) -> list[str]:
    buttons = [block for block in message.get("blocks", []) if block["type"] == "actions"]
    return [element["text"]["text"] for block in buttons for element in block["elements"]]


def _press(message: dict[str, Any], action_id: str) -> str:
    """The body that Slack sends when Ana presses a button of a message."""
    elements = [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]
    button = next(element for element in elements if element["action_id"] == action_id)
    action = {"type": "button", "action_id": action_id, "value": button["value"], "action_ts": f"{time.time():.6f}"}
    payload = {
        "type": "block_actions", "user": {"id": ANA, "username": "ana"}, "trigger_id": uuid.uuid4().hex,
        "container": {"message_ts": "1.2", "channel_id": CHANNEL}, "message": message, "actions": [action],
    }
    return urllib.parse.urlencode({"payload": json.dumps(payload)})


def _interact(world: World, body: str, now: str, signature: str) -> Answer:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature,
    }
    url = f"{world.trackside.url}/api/v1/slack/interactivity/chat"
    return call("POST", url, raw=body.encode(), headers=headers, tls=world.tls)


def _webhook(world: World, secret: str, event_type: str, key: str | None, event_id: str | None = None) -> Answer:
    data = {"type": "ping"} if key is None else {"id": "PGR0VU2", "type": "incident", "incident_key": key}
    event = {
        "id": event_id or str(uuid.uuid4()), "event_type": event_type, "resource_type": "incident",
        "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1)), "client": {"name": "PagerDuty"},
        "agent": {"id": "PLH1HKV", "summary": "Ana", "type": "user_reference"}, "data": data,
    }
    body = json.dumps({"event": event}).encode()
    other = hmac.new(b"another", body, hashlib.sha256).hexdigest()
    mine = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Webhook-Id": str(uuid.uuid4()), "X-PagerDuty-Signature": f"v1={other},v1={mine}"}
    url = f"{world.trackside.url}/api/v1/pagerduty/webhooks/pager"
    return call("POST", url, raw=body, headers=headers, tls=world.tls)
