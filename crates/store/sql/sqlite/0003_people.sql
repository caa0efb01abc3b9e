-- People: what is planned, who was paged, what fired, what is tested, what was heard already, what reports ask of
-- incidents.
--
-- Types as in 0001. What is planned is not deleted when it is over.

-- Overrides of on-call schedules. A row without `person` means nobody. `ended` is when it was taken back.
CREATE TABLE overrides (
  position  INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  schedule  TEXT    NOT NULL,
  starts    INTEGER NOT NULL,
  ends      INTEGER NOT NULL,
  person    TEXT,
  ended     INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX overrides_of     ON overrides (schedule, ends, position);
CREATE INDEX overrides_by_end ON overrides (ends, position);

-- A silence that was ended early has that time in `ends`.
CREATE TABLE silences (
  position  INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  author    TEXT    NOT NULL,
  ends      INTEGER NOT NULL,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX silences_by_end ON silences (ends);

-- Maintenance windows that were made at run time. `ends` is the end of the last occurrence, NULL when there is none;
-- `ended` is when the window was ended with all occurrences to come.
CREATE TABLE maintenance (
  position  INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  name      TEXT    NOT NULL,
  author    TEXT    NOT NULL,
  ends      INTEGER,
  ended     INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX maintenance_live  ON maintenance (ends) WHERE ended IS NULL;
CREATE INDEX maintenance_ended ON maintenance (ended) WHERE ended IS NOT NULL;

-- The last test alert through each connection.
CREATE TABLE canaries (
  connection  TEXT NOT NULL PRIMARY KEY,
  body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Pages of escalations, as they were decided. `reached` is whether anything was sent.
CREATE TABLE pages (
  position      INTEGER PRIMARY KEY,
  seq           INTEGER NOT NULL,
  ordinal       INTEGER NOT NULL,
  incident      BLOB    NOT NULL,
  life          INTEGER NOT NULL,
  at            INTEGER NOT NULL,
  due           INTEGER NOT NULL,
  cycle         INTEGER NOT NULL,
  step          INTEGER NOT NULL,
  target        TEXT    NOT NULL,
  team          TEXT    NOT NULL,
  severity      TEXT    NOT NULL,
  person        TEXT,
  out_of_hours  INTEGER NOT NULL CHECK (out_of_hours IN (0, 1)),
  reached       INTEGER NOT NULL CHECK (reached IN (0, 1)),
  body          TEXT    NOT NULL,
  UNIQUE (seq, ordinal)
) STRICT;
CREATE INDEX pages_of_incident ON pages (incident, position);
CREATE INDEX pages_by_time     ON pages (at, position);

-- Each time an alert began to fire; the alert itself is gone when it is cleared.
CREATE TABLE alert_firings (
  position  INTEGER PRIMARY KEY,
  seq       INTEGER NOT NULL,
  ordinal   INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  incident  BLOB    NOT NULL,
  source    TEXT    NOT NULL,
  pipeline  TEXT    NOT NULL,
  rule      TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  severity  TEXT    NOT NULL,
  UNIQUE (seq, ordinal)
) STRICT;
CREATE INDEX alert_firings_by_time     ON alert_firings (at, position);
CREATE INDEX alert_firings_of_incident ON alert_firings (incident, position);
CREATE INDEX alert_firings_of_rule     ON alert_firings (rule, position);

-- What may be heard once: names of webhook calls, signed links. A row counts until it expires.
CREATE TABLE heard (
  kind     TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  expires  INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX heard_by_expiry ON heard (expires, kind, key);

-- `parent` is the storm an incident is part of, or what it was merged into; `suppressed` whether nobody is told of it;
-- `acknowledged` is when somebody first had it; `resolved_via` is how whoever resolved it came in (`rules`, `session`).
ALTER TABLE incidents ADD COLUMN severity     TEXT NOT NULL DEFAULT 'error';
ALTER TABLE incidents ADD COLUMN acknowledged INTEGER;
ALTER TABLE incidents ADD COLUMN resolved_via TEXT;
ALTER TABLE incidents ADD COLUMN parent       BLOB;
ALTER TABLE incidents ADD COLUMN suppressed   INTEGER NOT NULL DEFAULT 0 CHECK (suppressed IN (0, 1));
UPDATE incidents SET severity = json_extract(body, '$.severity'),
  acknowledged = CAST(round(unixepoch(json_extract(body, '$.acknowledged'), 'subsec') * 1000000) AS INTEGER),
  resolved_via = (SELECT via FROM audit WHERE audit.incident = incidents.id AND audit.action = 'incident.resolved'
    ORDER BY position DESC LIMIT 1);
CREATE INDEX incidents_by_opened ON incidents (opened, number);
CREATE INDEX incidents_within    ON incidents (parent, number) WHERE parent IS NOT NULL;

-- For what is overdue.
CREATE INDEX timers_by_due ON timers (due);

-- How many pipelines a team owns.
CREATE INDEX pipelines_of_owner ON pipelines (owner) WHERE owner IS NOT NULL;
