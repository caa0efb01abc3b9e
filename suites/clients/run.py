#!/usr/bin/env python3
"""Official clients, unmodified, talk to Trackside's compatible doors; official libraries check what Trackside sends.

Everything goes over TLS with a certificate authority of our own, because PagerDuty's client insists on https.
Runs itself again in its own virtual environment.
"""

from __future__ import annotations

import os
import secrets
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.checks import INSIDE, Checks, main  # noqa: E402
from lib.farends import FarEnds  # noqa: E402
from lib.processes import Bench  # noqa: E402
from lib.trackside import Settings, Trackside  # noqa: E402
from lib.venvs import python_of  # noqa: E402

RULES = """\
  - {name: reported, when: reported}
  - {name: beat, match: {source: heartbeat, pipeline: nightly-*}, when: {missing: {every: 3s, grace: 1s}}}
  - {name: failed, when: {failed: {}}}"""


@dataclass
class World:
    """What every part of the suite works with."""

    checks: Checks
    ends: FarEnds
    trackside: Trackside
    tls: ssl.SSLContext
    ca: Path
    payments_token: str


def run(checks: Checks) -> None:
    import trustme

    import answers
    import approvals
    import outgoing
    import pagerduty_door
    import plain_doors
    import slack_door

    with FarEnds() as ends, outgoing.Mailbox() as mailbox, Bench("clients") as bench:
        authority = trustme.CA()
        ca = bench.folder / "ca.pem"
        authority.cert_pem.write_to_path(ca)
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(bench.folder / "key.pem")
        for part in issued.cert_chain_pems:
            part.write_to_path(bench.folder / "cert.pem", append=True)
        payments_token, service_token = secrets.token_hex(16), secrets.token_hex(16)
        settings = Settings(
            far_end=ends.url,
            server=f'  tls: {{cert: "{bench.folder}/cert.pem", key: "{bench.folder}/key.pem"}}',
            owners=f"  default: platform\n{answers.OWNERS}",
            rules=RULES,
            connections=f"{outgoing.connections(ends.url, mailbox.port)}\n{approvals.connections(ends.url)}",
            notify={"platform": ("hook", "mail")},
            sections=answers.sections(ends.url) + approvals.sections(),
            tokens="  - {name: payments-service, role: ingest, team: payments, secret: {env: PAYMENTS_TOKEN}}\n"
            "  - {name: operations, role: service, secret: {env: SERVICE_TOKEN}}",
            env={"PAYMENTS_TOKEN": payments_token, "SERVICE_TOKEN": service_token, "HOOK_SECRET": outgoing.HOOK_SECRET} | answers.ENV,
        )
        trackside = Trackside(bench, settings, scheme="https", ca=ca)
        trackside.start()
        checks.note(f"trackside serves at {trackside.url}")
        world = World(checks, ends, trackside, ssl.create_default_context(cafile=ca), ca, payments_token)
        pagerduty_door.run(world)
        slack_door.run(world)
        plain_doors.run(world)
        approvals.run(world, service_token)
        answers.run(world, mailbox)
        outgoing.run(world, mailbox)
        checks.equal("trackside ends cleanly", trackside.stop(), 0)
        secret = (payments_token, service_token, trackside.ingest_token, trackside.viewer_token, outgoing.HOOK_SECRET, *answers.ENV.values())
        for token in secret:
            checks.check("no secret in the log", token not in trackside.log())
        if checks.failed:
            bench.show_logs()


def enter_environment(checks: Checks) -> None:
    """Goes on inside the virtual environment."""
    del checks
    python = str(python_of("clients"))
    sys.stdout.flush()
    os.execve(python, [python, __file__], os.environ | {INSIDE: "1"})


if __name__ == "__main__":
    main("clients", run if os.environ.get(INSIDE) else enter_environment)
