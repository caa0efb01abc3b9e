"""The same API behind the gateway: it learns who calls by the configured field, and by a token that Trackside signs."""

from __future__ import annotations

from world import World

from lib.http import call


def run(world: World) -> None:
    """All of it."""
    checks = world.checks
    spoofed = {"X-Caller": "root", "X_Caller": "root", "Trackside-Caller": "root"}
    answer = call("GET", f"{world.gateway}/whoami", token=world.tokens["etl"], headers=spoofed)
    checks.equal("a call through the gateway arrives", answer.status, 200)
    told = answer.json() if answer.ok else {}
    checks.equal("the field says who calls, whatever the caller says", told.get("field"), "etl")
    checks.equal("so does the token that the API verified", told.get("token"), "etl")
    other = call("GET", f"{world.gateway}/whoami", token=world.tokens["other"])
    checks.equal("somebody else is somebody else", other.json() if other.ok else other.status, told | {"token": "other", "field": "other"})
    unknown = call("GET", f"{world.gateway}/whoami", token="nobody's")
    checks.equal("who is not known does not get in", unknown.status, 401)
    direct = call("GET", f"{world.wire.url}/whoami", token=world.tokens["etl"])
    checks.equal("past Trackside nobody gets in", direct.status, 401)
    work = call("POST", f"{world.gateway}/refresh", token=world.tokens["etl"], body={"customer": "gate"}, headers={"Idempotency-Key": "g-1"})
    checks.equal("work is done for its caller", work.json() if work.ok else work.status, {"customer": "gate", "rows": 42, "for": "etl"})
