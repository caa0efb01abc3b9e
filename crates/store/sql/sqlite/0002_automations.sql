-- Automations: what they are, what became of them, what they keep in mind, when they fired; block documents.
--
-- Types as in 0001.
--
-- Backtests read the log by event name, and yet there is no index on (name, seq). It would make each append write more:
-- with 50 names in use 4.4 pages instead of 3.0 alone, 2.3 instead of 1.5 in groups of 50, 1.5 instead of 1.1 in groups
-- of 200, and 30 to 40 % more processor time. Without it a backtest walks the log in order and skips by name before
-- anything is decoded: 3.6 million entries per second for a rare name, 1.3 million when one in five matches (`cargo run
-- --release -p trackside-store --example scan`). Appending is what happens all the time.

-- `owner` is the resource that an automation goes with.
CREATE TABLE automations (
  id         BLOB    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL,
  enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  semantics  TEXT    NOT NULL,
  origin     TEXT    NOT NULL,
  created    INTEGER NOT NULL,
  updated    INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  owner      TEXT,
  body       TEXT    NOT NULL
) STRICT;
CREATE INDEX automations_of_owner   ON automations (owner) WHERE owner IS NOT NULL;
CREATE INDEX automations_by_name    ON automations (name, id);
CREATE INDEX automations_by_created ON automations (created, id);
CREATE INDEX automations_by_updated ON automations (updated, id);

CREATE TABLE automation_tags (
  automation  BLOB NOT NULL REFERENCES automations (id) ON DELETE CASCADE,
  tag         TEXT NOT NULL,
  PRIMARY KEY (automation, tag)
) STRICT, WITHOUT ROWID;

-- One row per edit, with the automation as it was after it; for a removal, as it was before. Outlives the automation,
-- so it does not refer to it.
CREATE TABLE automation_history (
  position    INTEGER PRIMARY KEY,
  automation  BLOB    NOT NULL,
  version     INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  subject     TEXT    NOT NULL,
  via         TEXT    NOT NULL,
  kind        TEXT    NOT NULL CHECK (kind IN ('edit', 'delete')),
  body        TEXT    NOT NULL
) STRICT;
CREATE INDEX automation_history_of      ON automation_history (automation, position);
CREATE INDEX automation_history_removed ON automation_history (at) WHERE kind = 'delete';

-- The live state of automations, in pieces that are not looked into. `automation` is empty for what all share.
CREATE TABLE automation_cells (
  automation  BLOB NOT NULL,
  key         TEXT NOT NULL,
  body        TEXT NOT NULL,
  PRIMARY KEY (automation, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE firings (
  position    INTEGER PRIMARY KEY,
  automation  BLOB    NOT NULL,
  at          INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  ordinal     INTEGER NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('triggered', 'resolved')),
  event       BLOB,
  body        TEXT    NOT NULL,
  UNIQUE (seq, ordinal)
) STRICT;
CREATE INDEX firings_of       ON firings (automation, at, position);
CREATE INDEX firings_by_time  ON firings (at, position);
CREATE INDEX firings_of_event ON firings (event, at, position) WHERE event IS NOT NULL;

-- How often each automation fired on each day (days since 1970, UTC), counted as firings are written, so that a list
-- of automations costs the same however often they fire.
CREATE TABLE firing_days (
  automation  BLOB    NOT NULL,
  day         INTEGER NOT NULL,
  triggered   INTEGER NOT NULL,
  resolved    INTEGER NOT NULL,
  last        INTEGER,
  PRIMARY KEY (automation, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX firing_days_by_day ON firing_days (day);

-- Block documents. `data` is the document's content as JSON; its secret fields are sealed before they come here.
CREATE TABLE blocks (
  id          BLOB    NOT NULL PRIMARY KEY,
  block_type  TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  checksum    TEXT    NOT NULL,
  anonymous   INTEGER NOT NULL CHECK (anonymous IN (0, 1)),
  data        TEXT    NOT NULL,
  created     INTEGER NOT NULL,
  updated     INTEGER NOT NULL,
  UNIQUE (block_type, name)
) STRICT;
CREATE INDEX blocks_by_name ON blocks (name, id);
