-- Runs of jobs. `body` is the whole run; `delivery` is the row of the outbox that makes its call.
CREATE TABLE job_runs (
  position  INTEGER PRIMARY KEY,
  id        BLOB    NOT NULL UNIQUE,
  seq       INTEGER NOT NULL,
  job       TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  key       TEXT,
  state     TEXT    NOT NULL,
  open      INTEGER NOT NULL CHECK (open IN (0, 1)),
  created   INTEGER NOT NULL,
  ended     INTEGER,
  delivery  BLOB,
  body      TEXT    NOT NULL
) STRICT;
CREATE INDEX job_runs_open       ON job_runs (open, seq);
CREATE INDEX job_runs_by_key     ON job_runs (job, subject, key, seq) WHERE key IS NOT NULL;
CREATE INDEX job_runs_by_job     ON job_runs (job, position);
CREATE INDEX job_runs_by_subject ON job_runs (subject, position);
CREATE INDEX job_runs_by_end     ON job_runs (ended, position) WHERE ended IS NOT NULL;
