-- People: what is planned, who was paged, what fired, what is tested, what was heard already, what reports ask of
-- incidents.
--
-- Types as in 0001. Nothing here is deleted when it is over: `ended` is when somebody ended it before its time.

-- Overrides of on-call schedules. A row without `person` means nobody.
CREATE TABLE overrides (
  id        BLOB    NOT NULL PRIMARY KEY,
  schedule  TEXT    NOT NULL,
  starts    INTEGER NOT NULL,
  ends      INTEGER NOT NULL,
  person    TEXT,
  created   INTEGER NOT NULL,
  ended     INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX overrides_of   ON overrides (schedule, ends);
CREATE INDEX overrides_live ON overrides (ends) WHERE ended IS NULL;

-- A silence that is ended early has that time in `ends`.
CREATE TABLE silences (
  id        BLOB    NOT NULL PRIMARY KEY,
  starts    INTEGER NOT NULL,
  ends      INTEGER NOT NULL,
  author    TEXT    NOT NULL,
  created   INTEGER NOT NULL,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX silences_by_end     ON silences (ends);
CREATE INDEX silences_by_created ON silences (created, id);

-- Maintenance windows that were made at run time. `ends` is the end of the last occurrence, NULL when there is none.
CREATE TABLE maintenance (
  id        BLOB    NOT NULL PRIMARY KEY,
  name      TEXT    NOT NULL,
  ends      INTEGER,
  author    TEXT    NOT NULL,
  created   INTEGER NOT NULL,
  ended     INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX maintenance_live       ON maintenance (ends) WHERE ended IS NULL;
CREATE INDEX maintenance_by_created ON maintenance (created, id);

-- Pages of escalations, as they were decided.
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
  body          TEXT    NOT NULL,
  UNIQUE (seq, ordinal)
) STRICT;
CREATE INDEX pages_of_incident ON pages (incident, position);
CREATE INDEX pages_by_time     ON pages (at, team, person, out_of_hours);

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
CREATE INDEX alert_firings_by_time     ON alert_firings (at, incident, source, pipeline, rule);
CREATE INDEX alert_firings_of_incident ON alert_firings (incident, position);

-- Test alerts that are under way, one per connection.
CREATE TABLE canaries (
  connection  TEXT NOT NULL PRIMARY KEY,
  body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What may be heard once: names of webhook calls, signed links. A row counts until it expires.
CREATE TABLE heard (
  kind     TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  expires  INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX heard_by_expiry ON heard (expires);

-- `acknowledged` is when somebody first had it; `resolved_via` how who resolved it came in (`rules`, `session`, …).
ALTER TABLE incidents ADD COLUMN severity     TEXT NOT NULL DEFAULT 'error';
ALTER TABLE incidents ADD COLUMN acknowledged INTEGER;
ALTER TABLE incidents ADD COLUMN resolved_via TEXT;
UPDATE incidents SET severity = json_extract(body, '$.severity'),
  acknowledged = CAST(unixepoch(json_extract(body, '$.acknowledged'), 'subsec') * 1000000 AS INTEGER),
  resolved_via = (SELECT via FROM audit WHERE audit.incident = incidents.id AND audit.action = 'incident.resolved'
    ORDER BY position DESC LIMIT 1);
CREATE INDEX incidents_by_opened ON incidents (opened, owner);

-- For what is overdue.
CREATE INDEX timers_by_due ON timers (due);
