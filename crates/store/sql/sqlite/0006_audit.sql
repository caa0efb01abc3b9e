-- One audit for everything: who, on what authority, before and after, chained by hash.
--
-- A row is written once, when what it tells of has ended; the order of `position` is the order of completion. What an
-- act outside the database begins stands in `audit_begun` until it ends; a crash leaves it there, and the next start
-- completes it as unknown.
ALTER TABLE audit ADD COLUMN token TEXT;
ALTER TABLE audit ADD COLUMN resource TEXT;
ALTER TABLE audit ADD COLUMN outcome TEXT;
ALTER TABLE audit ADD COLUMN job BLOB;
ALTER TABLE audit ADD COLUMN detail TEXT;
CREATE INDEX audit_of_job      ON audit (job, position) WHERE job IS NOT NULL;
CREATE INDEX audit_of_resource ON audit (resource, position) WHERE resource IS NOT NULL;
CREATE INDEX audit_by_outcome  ON audit (outcome, position) WHERE outcome IS NOT NULL;

CREATE TABLE audit_begun (
  id    BLOB    NOT NULL PRIMARY KEY,
  at    INTEGER NOT NULL,
  body  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Checkpoints: the rows `first` to `last` of a shard, chained to the checkpoint before, signed.
CREATE TABLE audit_checkpoints (
  number    INTEGER PRIMARY KEY,
  first     INTEGER NOT NULL,
  last      INTEGER NOT NULL UNIQUE,
  rows      INTEGER NOT NULL,
  previous  TEXT    NOT NULL,
  hash      TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  key       TEXT    NOT NULL,
  signature TEXT    NOT NULL
) STRICT;
