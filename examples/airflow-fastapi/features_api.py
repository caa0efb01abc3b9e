"""An API whose work is asked for by jobs of Trackside: it knows who asks, and does the same work once."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from pydantic import BaseModel

TRACKSIDE = os.environ["TRACKSIDE_URL"]
DATABASE = os.environ.get("FEATURES_DATABASE", "features.db")
TABLES = """
CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, answer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS training (key TEXT PRIMARY KEY, customer TEXT NOT NULL, model TEXT);
"""



def connected() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE, timeout=60, isolation_level=None))


with connected() as database:
    database.executescript(TABLES)
app = FastAPI()
keys = jwt.PyJWKClient(f"{TRACKSIDE}/.well-known/jwks.json")


class Wanted(BaseModel):
    customer: str


def caller(authorization: Annotated[str, Header()] = "") -> str:
    """Who asked Trackside for this. Nobody else can sign it."""
    token = authorization.removeprefix("Bearer ")
    try:
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=["ES256"], audience="features", issuer=TRACKSIDE)["sub"]
    except jwt.PyJWKClientConnectionError as error:
        raise HTTPException(503, "the keys cannot be fetched") from error
    except jwt.PyJWTError as error:
        raise HTTPException(401, f"not a token for this API: {error}") from error


Caller = Annotated[str, Depends(caller)]
Key = Annotated[str, Header(alias="Idempotency-Key")]


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """The work and its key are kept together, or neither is. The same key waits here until the first call is done."""
    with connected() as db:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")


@app.post("/refresh")
def refresh(wanted: Wanted, key: Key, who: Caller) -> dict[str, object]:
    """Done before it answers."""
    with transaction() as db:
        known = db.execute("SELECT answer FROM done WHERE key = ?", [key]).fetchone()
        if known:
            return json.loads(known[0])
        answer = compute(db, wanted.customer, who)
        db.execute("INSERT INTO done VALUES (?, ?)", [key, json.dumps(answer)])
        return answer


def compute(db: sqlite3.Connection, customer: str, who: str) -> dict[str, object]:
    """The work itself. What it writes through `db` is part of the transaction."""
    return {"customer": customer, "rows": 42, "for": who}


@app.post("/train", status_code=202)
def train(wanted: Wanted, key: Key, who: Caller, response: Response) -> dict[str, str]:
    """Takes as long as it takes: a worker of yours looks for rows of `training` without a model."""
    with transaction() as db:
        db.execute("INSERT OR IGNORE INTO training (key, customer) VALUES (?, ?)", [key, wanted.customer])
    response.headers["Location"] = f"/train/{key}"
    return {"status": "accepted"}


@app.get("/train/{key}")
def training(key: str, who: Caller) -> dict[str, object]:
    """How it stands. Trackside asks until the status says that it has ended."""
    with transaction() as db:
        row = db.execute("SELECT model FROM training WHERE key = ?", [key]).fetchone()
    if row is None:
        raise HTTPException(404, "no such training")
    return {"status": "succeeded", "model": {"name": row[0]}} if row[0] else {"status": "running"}
