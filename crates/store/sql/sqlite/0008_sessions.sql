-- Browser sessions: who is signed in, and until when.
--
-- Types as in 0001. Only the SHA-256 of what the cookie holds is kept. `ends` is the end as it stands now, `until` the
-- end that no use puts off. `sub` and `sid` are the provider's names of the person and of the session there.
CREATE TABLE sessions (
  hash     BLOB    NOT NULL PRIMARY KEY,
  id       BLOB    NOT NULL UNIQUE,
  subject  TEXT    NOT NULL,
  issuer   TEXT,
  sub      TEXT,
  sid      TEXT,
  started  INTEGER NOT NULL,
  seen     INTEGER NOT NULL,
  ends     INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  body     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of       ON sessions (subject, started);
CREATE INDEX sessions_by_sub   ON sessions (sub, issuer) WHERE sub IS NOT NULL;
CREATE INDEX sessions_by_sid   ON sessions (sid, issuer) WHERE sid IS NOT NULL;
CREATE INDEX sessions_by_start ON sessions (started, id);
CREATE INDEX sessions_by_end   ON sessions (ends);
