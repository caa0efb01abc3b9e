"""The API of `examples/airflow-fastapi` under test, with what a suite needs beside it: it counts what was carried out, can be
slow and wrong, trains, calls back, and has an endpoint that looks at no key.

Run by uvicorn with two workers. All that is known is in SQLite, so that it survives `kill -9`; the suite reads it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Annotated

sys.path.insert(0, os.environ["FEATURES_EXAMPLE"])

import features_api as example  # noqa: E402
from fastapi import Header, HTTPException, Request, Response  # noqa: E402
from pydantic import BaseModel  # noqa: E402

EXECUTED = "CREATE TABLE IF NOT EXISTS executed (work TEXT, customer TEXT, key TEXT, who TEXT);"
JOURNAL = """
CREATE TABLE IF NOT EXISTS asked (path TEXT, headers TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS reports (id TEXT PRIMARY KEY, customer TEXT, callback TEXT, state TEXT);
"""


@contextmanager
def journal() -> Iterator[sqlite3.Connection]:
    """A database beside the example's, which may be busy with a transaction."""
    with closing(sqlite3.connect(example.DATABASE + ".journal", timeout=60, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")


with example.connected() as database:
    database.executescript("PRAGMA journal_mode = WAL;" + EXECUTED)
with closing(sqlite3.connect(example.DATABASE + ".journal", timeout=60)) as database:
    database.executescript("PRAGMA journal_mode = WAL;" + EXECUTED + JOURNAL)


@asynccontextmanager
async def working(_: object) -> AsyncIterator[None]:
    """The worker that the example leaves to its reader: it trains and reports as long as the app lives."""
    threading.Thread(target=_work, daemon=True).start()
    yield


app = example.app
app.router.lifespan_context = working


def compute(db: sqlite3.Connection, customer: str, who: str) -> dict[str, object]:
    """The example's work, counted in its transaction. A customer `slow-N` takes N seconds of it."""
    db.execute("INSERT INTO executed VALUES ('refresh', ?, '', ?)", [customer, who])
    time.sleep(_seconds(customer, "slow"))
    return {"customer": customer, "rows": 42, "for": who}


example.compute = compute


class Wanted(BaseModel):
    """The same for all."""

    customer: str


@app.middleware("http")
async def watch(request: Request, go_on: object) -> Response:
    """Writes down what was asked; some customers are refused; `late-N` hears N seconds after the work was done."""
    body = await request.body()
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    with journal() as db:
        path = request.url.path
        db.execute("INSERT INTO asked VALUES (?, ?, ?)", [path, json.dumps(headers), body.decode(errors="replace")])
        customer = str(json.loads(body).get("customer")) if body.startswith(b"{") else ""
        seen = db.execute("SELECT count(*) FROM asked WHERE path = ? AND body = ?", [path, body.decode()]).fetchone()[0]
    if customer.startswith("bad") or (customer.startswith("flaky") and seen == 1 and path == "/refresh"):
        return Response('{"detail": "no such customer"}', 422, media_type="application/json")
    answer = await go_on(request)
    await asyncio.sleep(_seconds(customer, "late"))
    return answer


@app.post("/careless")
def careless(wanted: Wanted, who: example.Caller, key: Annotated[str, Header(alias="Idempotency-Key")]) -> dict[str, object]:
    """Does it each time that it is asked."""
    with journal() as db:
        db.execute("INSERT INTO executed VALUES ('careless', ?, ?, ?)", [wanted.customer, key, who])
    time.sleep(_seconds(wanted.customer, "slow"))
    return {"customer": wanted.customer}


@app.post("/reports", status_code=202)
def report(
    wanted: Wanted, who: example.Caller, response: Response, callback: Annotated[str, Header(alias="Trackside-Callback")]
) -> dict[str, str]:
    """Calls back when it is done."""
    number = uuid.uuid4().hex
    with journal() as db:
        db.execute("INSERT INTO reports VALUES (?, ?, ?, 'working')", [number, wanted.customer, callback])
        db.execute("INSERT INTO executed VALUES ('reports', ?, '', ?)", [wanted.customer, who])
    response.headers["Location"] = f"/reports/{number}"
    return {"id": number}


@app.delete("/reports/{number}", status_code=204)
def stop(number: str, who: example.Caller) -> None:
    """Stops one."""
    with journal() as db:
        found = db.execute("UPDATE reports SET state = 'stopped' WHERE id = ? AND state = 'working'", [number])
        if found.rowcount != 1:
            raise HTTPException(404, "no such report")


@app.get("/whoami")
def whoami(who: example.Caller, request: Request) -> dict[str, str]:
    """What a request says of its caller: in the token that Trackside signs, and in the field of the gateway."""
    return {"token": who, "field": request.headers.get("x-caller", ""), "roles": request.headers.get("x-caller-roles", "")}


def _seconds(customer: str, word: str) -> float:
    kind, _, number = customer.partition("-")
    return float(number.split("-")[0]) if kind == word else 0


def _work() -> None:
    while True:
        time.sleep(0.2)
        with example.transaction() as db:
            for key, customer in db.execute("SELECT key, customer FROM training WHERE model IS NULL").fetchall():
                db.execute("INSERT INTO executed VALUES ('train', ?, ?, '')", [customer, key])
                db.execute("UPDATE training SET model = ? WHERE key = ?", [f"model of {customer}", key])
        with journal() as db:
            due = db.execute("SELECT id, customer, callback FROM reports WHERE state = 'working'").fetchall()
            done = [row for row in due if not row[1].startswith("long")]
            db.executemany("UPDATE reports SET state = 'done' WHERE id = ?", [[row[0]] for row in done])
        for _, customer, callback in done:
            body = json.dumps({"status": "succeeded", "output": {"report": customer}}).encode()
            asked = urllib.request.Request(callback, data=body, headers={"Content-Type": "application/json"})
            urllib.request.urlopen(asked, timeout=10).close()
