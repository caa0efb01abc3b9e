"""Flows that fail in every way that matters. Run as `flows.py NAME...`, or `flows.py serve` for the deployment.

Nothing in here knows of Trackside: a real user's flows do not either.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from prefect import flow, tags, task
from prefect.runtime import flow_run


@flow
def fails_at_once():
    raise RuntimeError("could not reach postgresql://loader:pg-pass-81723@db/orders with token=abc-48151623")


@task(retries=1)
def broken_part():
    raise ValueError("loss is NaN")


@flow(retries=2, retry_delay_seconds=0)
def retries_then_fails():
    broken_part()


@task
def flaky_part():
    if flow_run.run_count == 1:
        raise ConnectionError("first run always fails")


@flow(retries=2, retry_delay_seconds=0)
def retries_then_succeeds():
    """The task fails for good in the first run of the flow, which then runs again and succeeds."""
    flaky_part()


@flow
def simply_succeeds():
    return 42


@flow
def fails_repeatedly():
    """Broken until the environment says that it has been mended."""
    if not os.environ.get("MENDED"):
        raise RuntimeError("upstream is down")


@flow
def missed_while_away():
    raise RuntimeError("nobody was listening")


@flow
def process_is_killed():
    """Dies as under the out-of-memory killer; the process that serves it reports the crash."""
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def vanishes():
    """Dies together with everything that could report it: Prefect goes on saying Running."""
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGKILL)


OWNER = {
    "fails_at_once": "team:payments",
    "retries_then_fails": "team:ml",
    "retries_then_succeeds": "team:ml",
    "process_is_killed": "team:ml",
    "vanishes": "team:payments",
}


def main(names: list[str]) -> None:
    if names == ["serve"]:
        process_is_killed.serve(name="nightly", tags=[OWNER["process_is_killed"]])
        return
    for name in names:
        if name == "mend":
            os.environ["MENDED"] = "1"
            continue
        with tags(*filter(None, [OWNER.get(name)])):
            # The state is the outcome; the exception has been reported by Prefect itself.
            globals()[name](return_state=True)


if __name__ == "__main__":
    main(sys.argv[1:])
