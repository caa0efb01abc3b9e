"""Asking for runs as any program does: results, schemas, keys, waiting, events, limits, ends by hand, agreement."""

from __future__ import annotations

import json
import threading
import urllib.request

from world import END_SECONDS, World, new_key

from lib.told import check_told_once


def run(world: World) -> None:
    """All of it."""
    for part in (results, schemas, keys, failures, polls, events, callbacks, cancels, limits, agreement):
        part(world)


def results(world: World) -> None:
    """The API knows who asked, from the token that Trackside signs and from the header."""
    checks, key = world.checks, new_key()
    answer = world.ask("POST", "/jobs/refresh/runs?wait=20", {"customer": "acme"}, key=key)
    checks.equal("a run that ends while one waits is answered with 200", answer.status, 200)
    run = answer.json()
    checks.equal("it succeeded", run["state"], "succeeded")
    checks.equal("the API verified who asked", run["output"], {"customer": "acme", "rows": 42, "for": "etl"})
    headers = world.api.asked("/refresh", "acme")[0]
    named = (headers["trackside-caller"], headers["trackside-job"], headers["trackside-run"])
    checks.equal("the call names caller, job and run", named, ("etl", "refresh", run["id"]))
    checks.equal("the call has a key of the run", headers["idempotency-key"], f"{run['id']}-1")
    figures = {name: run[name] for name in ("attempt", "calls", "in_doubt")}
    checks.equal("the run says how it went", figures, {"attempt": 1, "calls": 1, "in_doubt": False})
    checks.equal("and who asked", run["identity"]["subject"], "etl")
    seen = world.trackside.get("/api/v1/runs?source=trackside.jobs&pipeline=refresh")["items"]
    checks.equal("it is a run with an owner", [(one["state"], one["owner"]) for one in seen], [("succeeded", "ml")])


def schemas(world: World) -> None:
    """What does not fit is refused with its place, and nobody is called."""
    answer = world.ask("POST", "/jobs/refresh/runs", {"customer": "", "force": True})
    world.checks.equal("an input that does not fit is a 422", answer.status, 422)
    places = {error["pointer"]: error["problem"] for error in answer.json()["errors"]}
    world.checks.check("each place is named by its JSON pointer", "/customer" in places, places)
    world.checks.check("and so is what is too much", any("force" in problem for problem in places.values()), places)
    world.checks.equal("nothing was called", world.api.asked("/refresh", ""), [])
    answer = world.ask("POST", "/jobs/nothing/runs", {})
    world.checks.equal("a job that is not there is a 404", answer.status, 404)


def keys(world: World) -> None:
    """The same key is the same run."""
    checks, key = world.checks, new_key()
    first = world.ask("POST", "/jobs/refresh/runs", {"customer": "slow-2"}, key=key)
    checks.equal("a run that goes on is answered with 202", first.status, 202)
    second = world.ask("POST", "/jobs/refresh/runs", {"customer": "slow-2"}, key=key, attempt="2").json()
    checks.equal("the same key attaches to it", second["id"], first.json()["id"])
    run = world.done(second)
    third = world.ask("POST", "/jobs/refresh/runs", {"customer": "slow-2"}, key=key, attempt="3")
    replayed = third.json()
    checks.equal("and then replays its result", (third.status, replayed["id"], replayed["output"]), (200, run["id"], run["output"]))
    checks.equal("it was carried out once", world.api.executed("refresh", "slow-2"), 1)
    other = world.ask("POST", "/jobs/refresh/runs", {"customer": "else"}, key=key)
    checks.equal("the same key with another input is a 409", other.status, 409)
    theirs = world.start("refresh", "slow-2", key=key, token="other")
    checks.check("somebody else's key is another one", theirs["id"] != run["id"], theirs)
    checks.equal("their run ends too", world.done(theirs, "other")["state"], "succeeded")


def failures(world: World) -> None:
    """A failed run is told to its team; a higher attempt runs again; its success ends the incident."""
    checks, key = world.checks, new_key()
    failed = world.done(world.start("refresh", "flaky-a", key=key))
    checks.equal("a refusal fails the run", (failed["state"], failed["error"]["class"]), ("failed", "refused"))
    checks.check("it says what the API said", "no such customer" in failed["error"]["message"], failed["error"])
    check_told_once(checks, world.ends, "refresh", "ml", END_SECONDS)
    same = world.start("refresh", "flaky-a", key=key)
    checks.equal("the same attempt replays the failure", same["id"], failed["id"])
    again = world.start("refresh", "flaky-a", key=key, attempt="2")
    checks.equal("a higher one runs it again", again["previous"], failed["id"])
    checks.equal("and that succeeds", world.done(again)["state"], "succeeded")
    checks.eventually("its success resolves the page", lambda: world.ends.pages("resolve"), END_SECONDS)


def polls(world: World) -> None:
    """202 with `Location`: asked until it is done."""
    run = world.done(world.start("train", "acme", key=new_key()))
    world.checks.equal("a polled run ends with its result", run["output"], {"name": "model of acme"})
    world.checks.equal("its call was sent once", (run["calls"], world.api.executed("train", "acme")), (1, 1))


def events(world: World) -> None:
    """Server-sent events until the end."""
    run = world.start("refresh", "slow-1-sse", key=new_key())
    request = urllib.request.Request(f"{world.trackside.url}/jobs/refresh/runs/{run['id']}/events")
    request.add_header("Authorization", f"Bearer {world.tokens['etl']}")
    with urllib.request.urlopen(request, timeout=END_SECONDS) as stream:
        kind = stream.headers["Content-Type"]
        lines = stream.read().decode().splitlines()
    states = [json.loads(line[5:])["state"] for line in lines if line.startswith("data:")]
    world.checks.equal("changes come as server-sent events", (kind, states), ("text/event-stream", ["running", "succeeded"]))


def callbacks(world: World) -> None:
    """The API calls back."""
    run = world.done(world.start("report", "acme"))
    world.checks.equal("a run ends when it is called back", (run["state"], run["output"]), ("succeeded", {"report": "acme"}))


def cancels(world: World) -> None:
    """A run is given up, and its far end is told."""
    checks = world.checks
    run = world.start("report", "long")
    checks.eventually("the API works on it", lambda: world.api.reports("long") == ["working"], END_SECONDS)
    checks.eventually("and Trackside knows", lambda: _delivered(world), END_SECONDS)
    foreign = world.ask("POST", f"/jobs/report/runs/{run['id']}/cancel", token="other")
    checks.equal("somebody else's run is not there", foreign.status, 404)
    answer = world.ask("POST", f"/jobs/report/runs/{run['id']}/cancel")
    checks.equal("one's own is cancelled", (answer.status, answer.json()["state"]), (200, "cancelled"))
    checks.eventually("the API is told to stop", lambda: world.api.reports("long") == ["stopped"], END_SECONDS)
    again = world.ask("POST", f"/jobs/report/runs/{run['id']}/cancel")
    checks.equal("what has ended is not cancelled", again.status, 409)


def _delivered(world: World) -> bool:
    rows = world.trackside.get("/api/v1/deliveries?connection=features&limit=5")["items"]
    return rows[0]["state"] == "delivered"


def limits(world: World) -> None:
    """One at a time, and so many for each caller."""
    checks = world.checks
    mine = [world.start("one-by-one", f"slow-2-{number}") for number in range(2)]
    third = world.ask("POST", "/jobs/one-by-one/runs", {"customer": "slow-2-2"})
    checks.equal("a caller's third unfinished run is refused", third.status, 429)
    theirs = world.start("one-by-one", "theirs", token="other")
    checks.check("another caller's is not", bool(theirs["id"]), theirs)
    states = [world.run(run)["state"] for run in mine]
    checks.equal("one runs, the next waits", states, ["running", "queued"])
    first, second = (world.done(run) for run in mine)
    checks.check("the second began when the first had ended", second["started"] >= first["ended"], (first, second))
    checks.equal("all are done in the end", world.done(theirs, "other")["state"], "succeeded")
    listed = world.ask("GET", "/jobs/one-by-one/runs").json()["items"]
    checks.equal("a caller lists their own runs", {run["identity"]["subject"] for run in listed}, {"etl"})


def agreement(world: World) -> None:
    """A run waits until somebody else agrees."""
    checks = world.checks
    asked = world.ask("POST", "/jobs/careful/runs", {"customer": "secret"}, key=new_key(), why="ticket 4711")
    checks.equal("the run waits", (asked.status, asked.json()["state"]), (202, "awaiting_approval"))
    run = asked.json()
    waiting = threading.Thread(target=lambda: world.run(run, 30), daemon=True)
    waiting.start()
    path = f"/api/v1/approvals/{run['approval']}"
    own = world.ask("POST", f"{path}/approve", {})
    checks.equal("who is not asked cannot agree", (own.status, "not asked" in own.json()["detail"]), (409, True))
    checks.equal("nothing was called", world.api.executed("careless", "secret"), 0)
    said = world.ask("POST", f"{path}/approve", {"remark": "go on"}, token="releaser")
    checks.equal("somebody else agrees", (said.status, said.json().get("state")), (200, "approved"))
    waiting.join(END_SECONDS)
    checks.check("who waited is answered", not waiting.is_alive())
    checks.equal("the run goes on", world.done(run)["state"], "succeeded")
    checks.equal("and is carried out once", world.api.executed("careless", "secret"), 1)
    own = world.start("careful", "never", key=new_key(), why="mine", token="releaser")
    refused = world.ask("POST", f"/api/v1/approvals/{own['approval']}/approve", {}, token="releaser")
    checks.equal("nobody agrees to what they asked themselves", refused.status, 409)
    run = world.start("careful", "never", key=new_key(), why="no reason")
    world.ask("POST", f"/api/v1/approvals/{run['approval']}/deny", {"remark": "no"}, token="releaser")
    denied = world.done(run)
    checks.equal("a no ends it", (denied["state"], denied["error"]["class"]), ("denied", "denied"))
    checks.equal("without a call", world.api.executed("careless", "never"), 0)
