"""Everything that can go away in the middle of a run does: the server, the API, the network.

What the API does under a key is carried out once; what it does without one ends as unknown, is told, and waits for somebody to
settle it. Nothing is repeated in silence.
"""

from __future__ import annotations

from world import END_SECONDS, World, new_key

from lib.told import check_told_once


def run(world: World) -> None:
    """All of it."""
    for part in (server_killed, server_killed_while_polling, server_killed_while_far_end_calls_back, api_killed_before, api_killed_after,
                 network_cut):  # fmt: skip
        part(world)


def server_killed(world: World) -> None:
    """`kill -9` of Trackside while the API works."""
    checks = world.checks
    keyed_key, plain_key = new_key(), new_key()
    plain = world.start("careless", "slow-3-kill", key=plain_key)
    keyed = world.start("refresh", "slow-3-kill", key=keyed_key)
    checks.eventually("both calls have arrived", lambda: _asked(world, "slow-3-kill") == (1, 1), END_SECONDS)
    world.trackside.kill()
    world.trackside.start()
    again = world.start("refresh", "slow-3-kill", key=keyed_key, attempt="2")
    checks.equal("after `kill -9` of Trackside the key is known", again["id"], keyed["id"])
    checks.equal("the keyed run succeeds", world.done(keyed)["state"], "succeeded")
    checks.equal("carried out once", world.api.executed("refresh", "slow-3-kill"), 1)
    checks.equal("the call without key is over", world.done(plain)["done"], True)
    check_told_once(checks, world.ends, "careless", "payments", END_SECONDS)
    _unknown(world, plain, plain_key, "slow-3-kill", "after `kill -9` of Trackside")


def server_killed_while_polling(world: World) -> None:
    """The far end named a `Location`: it is asked there, also by the next process."""
    run = world.start("train", "kill", key=new_key())
    world.checks.eventually("the training is asked for", lambda: world.api.asked("/train", "kill"), END_SECONDS)
    world.trackside.kill()
    world.trackside.start()
    run = world.done(run)
    world.checks.equal("a polled run survives `kill -9` of Trackside", (run["state"], run["output"]), ("succeeded", {"name": "model of kill"}))
    world.checks.equal("trained once", world.api.executed("train", "kill"), 1)


def server_killed_while_far_end_calls_back(world: World) -> None:
    """The address to call holds across processes."""
    run = world.start("report", "long-kill")
    world.checks.eventually("a report is under way", lambda: world.api.reports("long-kill") == ["working"], END_SECONDS)
    address = world.api.asked("/reports", "long-kill")[0]["trackside-callback"]
    world.trackside.kill()
    world.trackside.start()
    path = address.removeprefix(world.trackside.url)
    body = {"status": "succeeded", "output": {"report": 1}}
    world.checks.equal("a callback is taken by the next process", world.ask("POST", path, body).status, 204)
    done = world.done(run)
    world.checks.equal("and ends the run", (done["state"], done["output"]), ("succeeded", {"report": 1}))
    failed = {"status": "failed", "error": "again"}
    world.checks.equal("the same address again is heard", world.ask("POST", path, failed).status, 204)
    world.checks.equal("and changes nothing", world.run(run)["state"], "succeeded")
    forged = world.ask("POST", path[:-3] + "abc", body)
    world.checks.equal("a forged address is refused", forged.status, 403)


def api_killed_before(world: World) -> None:
    """`kill -9` of the API before its work was kept: its transaction is gone, so the same key does it, once."""
    checks = world.checks
    plain_key = new_key()
    plain = world.start("careless", "slow-30-gone", key=plain_key)
    keyed = world.start("refresh", "slow-2-gone", key=new_key())
    checks.eventually("both calls have arrived", lambda: _arrived(world, "slow-2-gone", "slow-30-gone"), END_SECONDS)
    world.api.kill()
    checks.equal("nothing was kept", world.api.executed("refresh", "slow-2-gone"), 0)
    world.api.start(world.trackside.url)
    run = world.done(keyed)
    checks.equal("after `kill -9` of the API the keyed run succeeds", run["state"], "succeeded")
    checks.check("its call was sent again", run["calls"] > 1, run)
    keys = {headers["idempotency-key"] for headers in world.api.asked("/refresh", "slow-2-gone")}
    checks.equal("under the same key", len(keys), 1)
    checks.equal("carried out once", world.api.executed("refresh", "slow-2-gone"), 1)
    _unknown(world, plain, plain_key, "slow-30-gone", "after `kill -9` of the API")


def api_killed_after(world: World) -> None:
    """`kill -9` of the API after its work was kept and before it answered."""
    checks = world.checks
    run = world.start("refresh", "late-3", key=new_key())
    checks.eventually("the work is kept", lambda: world.api.executed("refresh", "late-3") == 1, END_SECONDS)
    world.api.kill()
    world.api.start(world.trackside.url)
    checks.equal("work whose answer was lost is answered from what was kept", world.done(run)["state"], "succeeded")
    checks.equal("carried out once", world.api.executed("refresh", "late-3"), 1)


def network_cut(world: World) -> None:
    """The request goes through, the answer does not."""
    checks = world.checks
    world.wire.cut(2)
    keyed = world.start("refresh", "cut", key=new_key())
    run = world.done(keyed)
    checks.equal("after two cuts the keyed run succeeds", (run["state"], run["calls"]), ("succeeded", 3))
    checks.equal("carried out once", world.api.executed("refresh", "cut"), 1)
    plain_key = new_key()
    world.wire.cut(1)
    plain = world.start("careless", "cut", key=plain_key)
    _unknown(world, plain, plain_key, "cut", "after a cut")
    checks.equal("the line was cut three times", world.wire.lost, 3)
    key = new_key()
    world.wire.cut(1)
    lost = world.done(world.start("tried-once", "cut-again", key=key))
    checks.equal("a keyed call without tries left is unknown too", (lost["state"], lost["in_doubt"]), ("unknown", True))
    again = world.done(world.start("tried-once", "cut-again", key=key, attempt="2"))
    checks.equal("a higher attempt sends it again", (again["state"], again["previous"]), ("succeeded", lost["id"]))
    keys = {headers["idempotency-key"] for headers in world.api.asked("/refresh", "cut-again")}
    checks.equal("under the key of the first", keys, {f"{lost['id']}-1"})
    checks.equal("carried out once", world.api.executed("refresh", "cut-again"), 1)
    world.wire.cut(1)
    trained = world.done(world.start("train", "cut", key=new_key()))
    checks.equal("work whose acceptance was lost is found by its key", trained["state"], "succeeded")
    checks.equal("trained once", world.api.executed("train", "cut"), 1)


def _unknown(world: World, run: dict[str, object], key: str, customer: str, when: str) -> None:
    """A call without key ends as unknown, is not repeated for a higher attempt, and is settled by somebody who looked."""
    checks = world.checks
    ended = world.done(run)
    checks.equal(f"{when} the call without key is unknown", (ended["state"], ended["in_doubt"]), ("unknown", True))
    again = world.start("careless", customer, key=key, attempt="2")
    checks.equal("a higher attempt does not repeat it", (again["id"], again["state"]), (run["id"], "unknown"))
    checks.equal("it was carried out once", world.api.executed("careless", customer), 1)
    path = f"/jobs/careless/runs/{run['id']}/settle"
    checks.equal("its caller cannot settle it", world.ask("POST", path, {"succeeded": True}).status, 403)
    settled = world.operate("POST", path, {"succeeded": True, "output": {"seen": customer}})
    checks.equal("an operator who looked settles it", settled["state"], "succeeded")
    replayed = world.start("careless", customer, key=key, attempt="3")
    checks.equal("and its caller gets the result", replayed["output"], {"seen": customer})
    checks.equal("still carried out once", world.api.executed("careless", customer), 1)


def _asked(world: World, customer: str) -> tuple[int, int]:
    return len(world.api.asked("/careless", customer)), len(world.api.asked("/refresh", customer))


def _arrived(world: World, keyed: str, plain: str) -> bool:
    return bool(world.api.asked("/refresh", keyed) and world.api.executed("careless", plain))
