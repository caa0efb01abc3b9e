-- People and groups as another system keeps them (SCIM), and what PagerDuty says of teams.
--
-- Types as in 0001. `version` counts the writes of a row; `changed` is the time of the last one.

-- `kind` is `user` or `group`, `name` its name in lower case. Who was deleted stays with `gone`, so that their tokens and
-- turns stay refused; the name may be used again.
CREATE TABLE directory (
  position     INTEGER PRIMARY KEY,
  id           BLOB    NOT NULL UNIQUE,
  kind         TEXT    NOT NULL CHECK (kind IN ('user', 'group')),
  name         TEXT    NOT NULL,
  external_id  TEXT,
  active       INTEGER NOT NULL CHECK (active IN (0, 1)),
  version      INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  changed      INTEGER NOT NULL,
  gone         INTEGER,
  body         TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX directory_by_name ON directory (kind, name) WHERE gone IS NULL;
CREATE INDEX directory_by_external    ON directory (kind, external_id, position) WHERE external_id IS NOT NULL;
CREATE INDEX directory_here           ON directory (kind, position) WHERE gone IS NULL;
CREATE INDEX directory_gone           ON directory (kind, name) WHERE gone IS NOT NULL;

CREATE TABLE directory_members (
  of_group  BLOB NOT NULL,
  member    BLOB NOT NULL,
  PRIMARY KEY (of_group, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX directory_groups_of ON directory_members (member, of_group);

-- People of the configuration who have left, by decisions.
CREATE TABLE absences (
  person  TEXT NOT NULL PRIMARY KEY,
  body    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The last that another system said of its teams and services, by connection. `failed` is why it could not be read
-- since then.
CREATE TABLE imports (
  connection  TEXT    NOT NULL PRIMARY KEY,
  taken       INTEGER,
  tried       INTEGER NOT NULL,
  failed      TEXT,
  body        TEXT
) STRICT, WITHOUT ROWID;

-- Where that differs from ours, as last compared.
CREATE TABLE drift (
  connection  TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  since       INTEGER NOT NULL,
  body        TEXT    NOT NULL,
  PRIMARY KEY (connection, key)
) STRICT, WITHOUT ROWID;
