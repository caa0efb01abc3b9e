"""Prefect's own client sends its events to Trackside instead of a Prefect server.

The client's only acknowledgement is the WebSocket pong and the close; Trackside holds both back until the events
before them are stored. So a client that is cut off resends, and every event is stored exactly once.
"""

from __future__ import annotations

from pathlib import Path

from lib.checks import Checks
from lib.processes import Bench, Child, wait_until
from lib.trackside import Trackside
from prefect_server import base_env

EMIT = Path(__file__).parent / "emit.py"
EVENTS = 1_500
PACE_MS = 2
CUTS_AT = (300, 900)
EMIT_SECONDS = 90


def doors(checks: Checks, bench: Bench, python: Path, trackside: Trackside) -> None:
    """Everything a client can do at `/api`: with either credential, without one, and through a power cut."""
    home = bench.folder / "prefect-client"
    home.mkdir()
    api = f"{trackside.url}/api"
    base = base_env(home) | {"PREFECT_API_URL": api}
    token = trackside.ingest_token
    ways = {
        "auth-string": {"PREFECT_API_AUTH_STRING": f"suite:{token}"},
        "api-key": {"PREFECT_API_KEY": token, "PREFECT_CLOUD_API_URL": api},
    }
    for name, credential in ways.items():
        child = bench.start(f"emit-{name}", [python, EMIT, "function", name], base | credential)
        checks.equal(f"emit_event with {name} succeeds", child.wait(EMIT_SECONDS), 0)
        checks.eventually(
            f"emit_event with {name} is stored once", lambda name=name: len(stored(trackside, name)) == 1, 10
        )
    refused(checks, bench, python, trackside, base)
    power_cut(checks, bench, python, trackside, base | ways["auth-string"])


def refused(checks: Checks, bench: Bench, python: Path, trackside: Trackside, base: dict[str, str]) -> None:
    """Without a valid credential the client is told so, and nothing is stored."""
    for name, credential in {
        "no-credential": {},
        "wrong-credential": {"PREFECT_API_AUTH_STRING": "suite:not-the-token"},
    }.items():
        child = bench.start(f"emit-{name}", [python, EMIT, "stream", name, "1", "0"], base | credential)
        checks.check(f"the client with {name} fails", child.wait(EMIT_SECONDS) != 0)
        checks.equal(f"nothing with {name} is stored", stored(trackside, name), [])


def power_cut(checks: Checks, bench: Bench, python: Path, trackside: Trackside, env: dict[str, str]) -> None:
    """`kill -9` in the middle of a stream, twice; the client reconnects and resends what was not confirmed.

    The client is held still while the server dies: one that reconnects in the very moment in which the kernel closes
    the dead process's sockets gets `InvalidMessage`, which Prefect's client takes for final (it is not among its
    `RETRYABLE_EXCEPTIONS`) whatever the server does.
    """
    child = bench.start("emit-stream", [python, EMIT, "stream", "stream", str(EVENTS), str(PACE_MS)], env)
    for cut in CUTS_AT:
        wait_until(f"{cut} events emitted", lambda cut=cut: ended(child) or len(printed(child)) >= cut, EMIT_SECONDS)
        child.freeze()
        trackside.kill()
        child.thaw()
        trackside.start()
    checks.equal("the client survives two power cuts", child.wait(EMIT_SECONDS), 0)
    emitted = printed(child)
    checks.equal("the client emitted every event", len(emitted), EVENTS)
    kept = [event["id"] for event in stored(trackside, "stream")]
    checks.equal("no event is lost", sorted(set(emitted) - set(kept)), [])
    checks.equal("no event is stored twice", len(kept), len(set(kept)))
    checks.equal("nothing else is stored", sorted(set(kept) - set(emitted)), [])


def ended(child: Child) -> bool:
    """True when the client gave up, so that a wait for its output can end."""
    return child.exit_code is not None


def printed(child: Child) -> list[str]:
    """The ids the client has printed; its log also holds warnings."""
    return [line for line in child.log.read_text().splitlines() if len(line) == 36 and line.count("-") == 4]


def stored(trackside: Trackside, name: str) -> list[dict[str, object]]:
    """Every event of this name that Trackside has, page by page."""
    return trackside.events(event=f"suite.{name}")
