-- Keys that sign the tokens of Trackside as an issuer. Types as in 0001.
--
-- `sealed` is the private key, encrypted with the key beside the database and bound to the row's `id`. `published` is from
-- when on the key page shows it, `signs` from when on it signs, `retired` when the next one took over.
CREATE TABLE workload_keys (
  id        BLOB    PRIMARY KEY,
  algorithm TEXT    NOT NULL,
  sealed    TEXT    NOT NULL,
  published INTEGER NOT NULL,
  signs     INTEGER NOT NULL,
  retired   INTEGER
) STRICT, WITHOUT ROWID;
