-- Questions for agreement. `body` is the whole question; `open` until it is decided.
CREATE TABLE approvals (
  position  INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  number    INTEGER NOT NULL,
  about     TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  state     TEXT    NOT NULL,
  open      INTEGER NOT NULL CHECK (open IN (0, 1)),
  created   INTEGER NOT NULL,
  decided   INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX approvals_open       ON approvals (open, position);
CREATE INDEX approvals_by_state   ON approvals (state, position);
CREATE INDEX approvals_by_subject ON approvals (subject, position);
CREATE INDEX approvals_by_about   ON approvals (about, position);
CREATE INDEX approvals_by_end     ON approvals (decided, position) WHERE decided IS NOT NULL;

-- Access that was given for a while. `ended` is when it was over or revoked.
CREATE TABLE grants (
  position  INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  subject   TEXT    NOT NULL,
  route     TEXT    NOT NULL,
  until     INTEGER NOT NULL,
  ended     INTEGER,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX grants_active     ON grants (position) WHERE ended IS NULL;
CREATE INDEX grants_by_subject ON grants (subject, position);
CREATE INDEX grants_by_end     ON grants (ended, position) WHERE ended IS NOT NULL;
