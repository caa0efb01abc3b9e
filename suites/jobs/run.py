#!/usr/bin/env python3
"""Jobs with real parts: a FastAPI app that does the work, a real Airflow that asks for it, and everything between them killed.

The app, the DAG and the jobs are those of `examples/airflow-fastapi`, which the guide shows. Needs nothing but Python, the
package index and the trackside binary.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import asking  # noqa: E402
import breaking  # noqa: E402
import from_airflow  # noqa: E402
import gateway  # noqa: E402
import shop  # noqa: E402
import world as worlds  # noqa: E402
from azure_site import AzureSite  # noqa: E402
from lib.checks import Checks, main  # noqa: E402
from lib.farends import FarEnds  # noqa: E402
from lib.processes import Bench, free_port  # noqa: E402
from lib.venvs import python_of  # noqa: E402
from wire import Wire  # noqa: E402


def run(checks: Checks) -> None:
    python, port = python_of("jobs"), free_port()
    with FarEnds() as ends, Bench("jobs") as bench, AzureSite() as azure, Wire(port) as wire:
        world = worlds.make(checks, bench, python, ends, azure, wire, port)
        airflow = from_airflow.make(world, python)
        # It takes a while, and needs nothing of Trackside until it runs a DAG.
        starting = Starting(lambda: airflow.start(dags=1))
        checks.note("runs are asked for")
        asking.run(world)
        checks.note("the API behind the gateway")
        gateway.run(world)
        checks.note("an App Service")
        shop.run(world)
        checks.note("everything goes away")
        breaking.run(world)
        starting.finish()
        checks.note("Airflow asks")
        from_airflow.run(world, airflow)
        checks.equal("trackside ends cleanly", world.trackside.stop(), 0)
        log = world.trackside.log()
        checks.check("no token in the log", not any(token in log for token in world.tokens.values()))
        if checks.failed:
            bench.show_logs()


class Starting:
    """Something that starts meanwhile."""

    def __init__(self, start: object) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(start,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits for it; its error is ours."""
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self, start: object) -> None:
        try:
            start()
        except BaseException as error:  # noqa: BLE001 - it is raised in `finish`
            self._error = error


if __name__ == "__main__":
    main("jobs", run)
