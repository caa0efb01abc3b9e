-- The spine: log, state, outbox, audit, accounts.
--
-- Types on SQLite: times are microseconds since 1970 (INTEGER), uuids 16 bytes (BLOB), yes/no 0 or 1, JSON is TEXT.
-- Columns exist for what is searched or sorted; `body` holds the whole value as JSON and is the only thing decoded.

-- Every input, in the order it was accepted. Never updated. `seq` has no gaps: rows go in through one writer,
-- and retention always keeps the newest row, so that a position is never given twice.
CREATE TABLE log (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  source  TEXT    NOT NULL,
  id      BLOB    NOT NULL,
  name    TEXT    NOT NULL,
  body    TEXT    NOT NULL
) STRICT;
-- Idempotent intake; `id` first, so that an event is found by its id alone.
CREATE UNIQUE INDEX log_identity ON log (id, source);
-- The few entries made by Trackside itself, so that events can be counted without reading them.
CREATE INDEX log_internal ON log (seq) WHERE source >= 'trackside.' AND source < 'trackside/';

-- Single values: `cursor` (last decided seq), `ruleset`, `counters`.
CREATE TABLE meta (
  key    TEXT NOT NULL PRIMARY KEY,
  value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('cursor', '0');

CREATE TABLE runs (
  position     INTEGER PRIMARY KEY,
  source       TEXT    NOT NULL,
  pipeline     TEXT    NOT NULL,
  run          TEXT    NOT NULL,
  run_id       TEXT,
  state        TEXT    NOT NULL,
  open         INTEGER NOT NULL CHECK (open IN (0, 1)),
  owner        TEXT,
  first_seen   INTEGER NOT NULL,
  ended        INTEGER,
  duration_ms  INTEGER,
  body         TEXT    NOT NULL,
  UNIQUE (source, pipeline, run)
) STRICT;
CREATE INDEX runs_by_name  ON runs (source, pipeline, run_id) WHERE run_id IS NOT NULL;
CREATE INDEX runs_by_state ON runs (state, position);
CREATE INDEX runs_by_owner ON runs (owner, position);
CREATE INDEX runs_of_pipeline ON runs (pipeline, position);
CREATE INDEX runs_of_source ON runs (source, position);
CREATE INDEX runs_by_end   ON runs (state, ended, duration_ms) WHERE ended IS NOT NULL;
CREATE INDEX runs_over     ON runs (ended, position) WHERE ended IS NOT NULL AND open = FALSE;
CREATE INDEX runs_open     ON runs (position) WHERE open = TRUE;

CREATE TABLE attempts (
  source      TEXT    NOT NULL,
  pipeline    TEXT    NOT NULL,
  run         TEXT    NOT NULL,
  task        TEXT    NOT NULL,
  map_index   INTEGER NOT NULL,
  try_number  INTEGER NOT NULL,
  state       TEXT    NOT NULL,
  open        INTEGER NOT NULL CHECK (open IN (0, 1)),
  started     INTEGER,
  body        TEXT    NOT NULL,
  PRIMARY KEY (source, pipeline, run, task, map_index, try_number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_open ON attempts (source, pipeline, run) WHERE open = TRUE;

CREATE TABLE aliases (
  source    TEXT NOT NULL,
  alias     TEXT NOT NULL,
  pipeline  TEXT NOT NULL,
  run       TEXT NOT NULL,
  body      TEXT NOT NULL,
  PRIMARY KEY (source, alias)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_run ON aliases (source, pipeline, run);

CREATE TABLE pipelines (
  source        TEXT    NOT NULL,
  name          TEXT    NOT NULL,
  owner         TEXT,
  last_success  INTEGER,
  body          TEXT    NOT NULL,
  PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipelines_by_success ON pipelines (last_success) WHERE last_success IS NOT NULL;

CREATE TABLE alerts (
  source    TEXT NOT NULL,
  pipeline  TEXT NOT NULL,
  rule      TEXT NOT NULL,
  subject   TEXT NOT NULL,
  incident  BLOB,
  body      TEXT NOT NULL,
  PRIMARY KEY (source, pipeline, rule, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_of_incident ON alerts (incident) WHERE incident IS NOT NULL;

CREATE TABLE incidents (
  number    INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  state     TEXT    NOT NULL,
  open      INTEGER NOT NULL CHECK (open IN (0, 1)),
  owner     TEXT    NOT NULL,
  source    TEXT    NOT NULL,
  pipeline  TEXT    NOT NULL,
  opened    INTEGER NOT NULL,
  resolved  INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX incidents_open     ON incidents (number) WHERE open = TRUE;
CREATE INDEX incidents_by_state ON incidents (state, number);
CREATE INDEX incidents_by_owner ON incidents (owner, number);
CREATE INDEX incidents_of_pipeline ON incidents (pipeline, number);
CREATE INDEX incidents_by_end   ON incidents (resolved) WHERE resolved IS NOT NULL;

-- `key` is the timer's key as JSON.
CREATE TABLE timers (
  key   TEXT    NOT NULL PRIMARY KEY,
  due   INTEGER NOT NULL,
  body  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Deliveries. A lane is (connection, lane): the rows of one incident to one connection, in order of `position`;
-- a row without incident is a lane of its own. `done_at` is set exactly when the row is finished.
-- An unfinished row has `due_at` only while it is the head of its lane; the rows behind it wait without one.
CREATE TABLE outbox (
  position     INTEGER PRIMARY KEY,
  id           BLOB    NOT NULL UNIQUE,
  cause        INTEGER NOT NULL,
  ordinal      INTEGER NOT NULL,
  connection   TEXT    NOT NULL,
  incident     BLOB,
  lane         BLOB    NOT NULL,
  created      INTEGER NOT NULL,
  state        TEXT    NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'dead', 'superseded')),
  in_doubt     INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)),
  attempts     INTEGER NOT NULL DEFAULT 0,
  due_at       INTEGER,
  lease_until  INTEGER,
  far_ref      TEXT,
  last_error   TEXT,
  done_at      INTEGER,
  body         TEXT    NOT NULL,
  UNIQUE (cause, ordinal),
  CHECK ((done_at IS NULL) = (state IN ('pending', 'sending'))),
  CHECK (state <> 'sending' OR (lease_until IS NOT NULL AND due_at IS NOT NULL))
) STRICT;
-- At most one head per lane: the database itself refuses two messages of one lane at a time.
CREATE UNIQUE INDEX outbox_head ON outbox (connection, lane) WHERE done_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX outbox_due      ON outbox (connection, due_at, position) WHERE state = 'pending' AND due_at IS NOT NULL;
CREATE INDEX outbox_lane     ON outbox (connection, lane, position);
CREATE INDEX outbox_open     ON outbox (connection, state) WHERE done_at IS NULL;
CREATE INDEX outbox_by_state ON outbox (state, position);
CREATE INDEX outbox_of_connection ON outbox (connection, position);
CREATE INDEX outbox_done     ON outbox (state, done_at) WHERE done_at IS NOT NULL;
CREATE INDEX outbox_of_incident ON outbox (incident, position) WHERE incident IS NOT NULL;

CREATE TABLE delivery_attempts (
  delivery  BLOB    NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  n         INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  took_ms   INTEGER NOT NULL,
  verdict   TEXT    NOT NULL,
  status    INTEGER,
  request   TEXT,
  answer    TEXT,
  error     TEXT,
  PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

-- Rows of decisions carry (seq, ordinal); rows of other writes have neither.
CREATE TABLE audit (
  position  INTEGER PRIMARY KEY,
  seq       INTEGER,
  ordinal   INTEGER,
  at        INTEGER NOT NULL,
  subject   TEXT    NOT NULL,
  via       TEXT    NOT NULL,
  action    TEXT    NOT NULL,
  summary   TEXT    NOT NULL,
  incident  BLOB,
  event     BLOB,
  delivery  BLOB,
  UNIQUE (seq, ordinal),
  CHECK ((seq IS NULL) = (ordinal IS NULL))
) STRICT;
CREATE INDEX audit_of_incident ON audit (incident, position) WHERE incident IS NOT NULL;
CREATE INDEX audit_of_event    ON audit (event, position) WHERE event IS NOT NULL;
CREATE INDEX audit_of_delivery ON audit (delivery, position) WHERE delivery IS NOT NULL;
CREATE INDEX audit_by_subject  ON audit (subject, position);
CREATE INDEX audit_by_time     ON audit (at);

CREATE TABLE explanations (
  seq       INTEGER NOT NULL,
  ordinal   INTEGER NOT NULL,
  event     BLOB,
  incident  BLOB,
  body      TEXT    NOT NULL,
  PRIMARY KEY (seq, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX explanations_of_event    ON explanations (event) WHERE event IS NOT NULL;
CREATE INDEX explanations_of_incident ON explanations (incident, seq) WHERE incident IS NOT NULL;

-- A token is kept as its SHA-256 only.
CREATE TABLE tokens (
  id          BLOB    NOT NULL PRIMARY KEY,
  name        TEXT    NOT NULL,
  hash        BLOB    NOT NULL UNIQUE,
  role        TEXT    NOT NULL,
  team        TEXT,
  created     INTEGER NOT NULL,
  created_by  TEXT    NOT NULL,
  expires     INTEGER,
  last_used   INTEGER,
  revoked     INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked IS NULL;
