"""Doors that need no client library: Prometheus and Alertmanager, CloudEvents (made by the official SDK), pings."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from lib.http import Answer, call
from lib.told import check_told_once

if TYPE_CHECKING:
    from run import World

SECONDS = 15
NEVER = "0001-01-01T00:00:00Z"


def run(world: World) -> None:
    prometheus(world)
    alertmanager(world)
    cloudevents(world)
    pings(world)
    native(world)


def prometheus(world: World) -> None:
    """Prometheus posts a JSON array to `/api/v2/alerts`, firing again and again, then with a past end."""
    alert = {
        "labels": {"alertname": "ReplicaLagging", "team": "ml", "severity": "critical", "instance": "pg-9"},
        "annotations": {"summary": "pg-9 is 5 min behind", "runbook_url": "https://example.net/lag"},
        "startsAt": _at(-60),
        "endsAt": _at(240),
        "generatorURL": "http://prometheus.example.net/graph?g0.expr=up",
    }
    for _ in range(3):
        world.checks.equal("/api/v2/alerts answers 200", _post(world, "/api/v2/alerts", [alert]).status, 200)
    check_told_once(world.checks, world.ends, "ReplicaLagging", "ml", SECONDS)
    _post(world, "/api/v2/alerts", [alert | {"endsAt": _at(-1)}])
    _resolved(world, "ReplicaLagging")


def alertmanager(world: World) -> None:
    """Alertmanager's webhook body, version 4."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "QueueStuck", "team": "payments", "severity": "warning"},
        "annotations": {"summary": "nothing consumed for 10 min"},
        "startsAt": _at(-30), "endsAt": NEVER, "generatorURL": "", "fingerprint": "5f1e9a1b2c3d4e5f",
    }
    body = {
        "version": "4", "groupKey": '{}:{alertname="QueueStuck"}', "truncatedAlerts": 0, "status": "firing",
        "receiver": "trackside", "groupLabels": {"alertname": "QueueStuck"}, "commonLabels": alert["labels"],
        "commonAnnotations": alert["annotations"], "externalURL": "http://alertmanager.example.net", "alerts": [alert],
    }
    world.checks.check("Alertmanager's webhook is accepted", _post(world, "/api/v1/alertmanager", body).ok)
    check_told_once(world.checks, world.ends, "QueueStuck", "payments", SECONDS)
    over = body | {"status": "resolved", "alerts": [alert | {"status": "resolved", "endsAt": _at(0)}]}
    world.checks.check("the resolved webhook is accepted", _post(world, "/api/v1/alertmanager", over).ok)
    _resolved(world, "QueueStuck")


def cloudevents(world: World) -> None:
    """Both content modes of the official SDK; the same event twice is stored once."""
    for mode, encode in (("binary", to_binary_event), ("structured", to_structured_event)):
        kind = f"net.example.{mode}"
        event = CloudEvent({"type": kind, "source": "/suite/cloudevents", "id": str(uuid.uuid4())}, {"rows": 42})
        message = encode(event)
        raw = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        for attempt in ("first", "repeated"):
            answer = _post(world, "/api/v1/cloudevents", None, raw=raw, headers=dict(message.headers))
            world.checks.check(f"the {attempt} {mode} CloudEvent is accepted", answer.ok, answer)
        world.checks.eventually(
            f"the {mode} CloudEvent is stored once", lambda kind=kind: len(world.trackside.events(event=kind)) == 1, 5
        )


def pings(world: World) -> None:
    """Healthchecks' habits: start, success, fail, exit codes; GET or POST; token in the query; a missing ping."""
    for path in ("/ping/report-job/start", "/ping/report-job"):
        answer = call("GET", f"{world.trackside.url}{path}?token={world.trackside.ingest_token}", tls=world.tls)
        world.checks.check(f"GET {path} is accepted", answer.ok, answer)
    world.checks.check("exit code 0 is a success", _post(world, "/ping/report-job/0", None, raw=b"").ok)
    log = b"Traceback: disk is full, token=abc-48151623"
    world.checks.check("exit code 1 is accepted", _post(world, "/ping/report-job/1", None, raw=log).ok)
    check_told_once(world.checks, world.ends, "report-job", "platform", SECONDS)
    world.checks.check("the next success is accepted", _post(world, "/ping/report-job", None, raw=b"").ok)
    _resolved(world, "report-job")
    _post(world, "/ping/nightly-backup", None, raw=b"")
    world.checks.note("nightly-backup has pinged once and falls silent")
    check_told_once(world.checks, world.ends, "nightly-backup", "platform", SECONDS)
    _post(world, "/ping/nightly-backup", None, raw=b"")
    _resolved(world, "nightly-backup")
    world.checks.check("the log of a ping is redacted", all("abc-48151623" not in m.text for m in world.ends.all()))


def native(world: World) -> None:
    """The native door: gzip, Basic credentials, clear refusals, the same id twice."""
    event = {
        "id": str(uuid.uuid4()), "occurred": _at(0), "event": "suite.native",
        "resource": {"prefect.resource.id": "suite.native.1"}, "related": [], "payload": {"rows": 42},
    }
    packed = gzip.compress(json.dumps(event).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for _ in range(2):
        world.checks.check("a gzipped event is accepted", _post(world, "/api/v1/events", None, raw=packed, headers=headers).ok)
    world.checks.eventually("and stored once", lambda: len(world.trackside.events(event="suite.native")) == 1, 5)
    basic = base64.b64encode(f"anyone:{world.trackside.ingest_token}".encode()).decode()
    answer = call(
        "POST", f"{world.trackside.url}/api/v1/events", body=event | {"id": str(uuid.uuid4())},
        headers={"Authorization": f"Basic {basic}"}, tls=world.tls,
    )
    world.checks.check("the token as Basic password is accepted", answer.ok, answer)
    for what, answer, status in (
        ("no token", call("POST", f"{world.trackside.url}/api/v1/events", body=event, tls=world.tls), 401),
        ("broken JSON", _post(world, "/api/v1/events", None, raw=b'{"id": '), 400),
    ):
        world.checks.equal(f"{what} is refused", answer.status, status)
    viewer = call("POST", f"{world.trackside.url}/api/v1/events", body=event, token=world.trackside.viewer_token, tls=world.tls)
    world.checks.equal("a viewer may not send events", viewer.status, 403)


def _resolved(world: World, about: str) -> None:
    keys = {page["dedup_key"] for page in world.ends.pages("trigger", about)}

    def resolved() -> bool:
        return bool(keys) and keys <= {page["dedup_key"] for page in world.ends.pages("resolve")}

    world.checks.eventually(f"{about} is resolved", resolved, SECONDS)


def _post(
    world: World, path: str, body: object, *, raw: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    return call(
        "POST", world.trackside.url + path, body=body, raw=raw, headers=headers,
        token=world.trackside.ingest_token, tls=world.tls,
    )


def _at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
