"""Sends events with Prefect's own client to wherever `PREFECT_API_URL` points. Prints the id of every event emitted.

`emit.py function NAME` uses `emit_event`, as a flow does; `emit.py stream NAME COUNT PACE_MS` uses the events client
that all of Prefect uses, and survives the server's restart the way it does.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from prefect.events import Event, Resource, emit_event
from prefect.events.clients import get_events_client
from prefect.events.worker import EventsWorker

# As Prefect's own: one confirmation every 700 events or 30 s. Smaller here, so that some are confirmed before the cut.
CHECKPOINT_EVERY = 100


def resource(name: str, number: int) -> dict[str, str]:
    return {"prefect.resource.id": f"suite.{name}.{number}", "prefect.resource.name": name}


def by_function(name: str) -> None:
    event = emit_event(event=f"suite.{name}", resource=resource(name, 0), payload={"rows": 42})
    if event is None:
        sys.exit("the client did not emit the event")
    print(event.id, flush=True)
    EventsWorker.instance().drain()


async def stream(name: str, count: int, pace: float) -> None:
    async with get_events_client(checkpoint_every=CHECKPOINT_EVERY, reconnection_attempts=30) as client:
        for number in range(count):
            event = Event(
                id=uuid4(), event=f"suite.{name}", resource=Resource(resource(name, number)), payload={"number": number}
            )
            await client.emit(event)
            print(event.id, flush=True)
            await asyncio.sleep(pace)


if __name__ == "__main__":
    if sys.argv[1] == "function":
        by_function(sys.argv[2])
    else:
        asyncio.run(stream(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) / 1000))
