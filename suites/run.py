#!/usr/bin/env python3
"""Runs the suites with real parts one after another and sums up: `run.py [SUITE...]`, all of them by default.

Needs Python 3.11 or newer with `venv`, a package index for pip, and the trackside binary (`TRACKSIDE_BIN`, or built in
the clone). Each suite is also a program of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = {
    "airflow": "Apache Airflow from the package index, told by OpenLineage",
    "prefect": "a Prefect server and its own client, both directions",
    "clients": "the official clients of PagerDuty, Slack and CloudEvents over TLS, an SMTP server, Standard Webhooks",
    "identity": "a certified OpenID Provider with Chromium and the command line; AWS, Azure, Vault; PyJWT, jose and scim2-tester as judges",
    "gateway": "hostile requests through the gateway, judged by the bytes behind it",
    "jobs": "a FastAPI app that does the work, Airflow that asks for it, and everything between them killed",
    "pages": "every page in Chromium, judged by axe-core",
}
CLOSING = re.compile(r"(\d+) passed, (\d+) failed")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}")
        return 2
    passed = failed = 0
    table = []
    for name in names or SUITES:
        print(f"-- {name}: {SUITES[name]}", flush=True)
        started = time.monotonic()
        ok, bad = run(name)
        passed, failed = passed + ok, failed + bad
        table.append(f"   {name:<10} {ok:>4} passed {bad:>4} failed {time.monotonic() - started:>6.0f} s")
    print("-- all suites", *table, sep="\n")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def run(name: str) -> tuple[int, int]:
    """Runs one suite, showing its output as it comes. One that ends without its count has failed."""
    argv = [sys.executable, str(HERE / name / "run.py")]
    count = (0, 1)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as suite:
        for line in suite.stdout:
            print(line, end="", flush=True)
            if closing := CLOSING.fullmatch(line.strip()):
                count = (int(closing[1]), int(closing[2]))
    if suite.returncode != 0 and count[1] == 0:
        print(f"  FAIL {name} ended with {suite.returncode}")
        count = (count[0], count[1] + 1)
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
