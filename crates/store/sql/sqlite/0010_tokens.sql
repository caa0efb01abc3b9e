-- Names that routes and jobs may ask for, separated by spaces; and what a token was before it was rotated, which counts
-- until a time so that its holders can change over.
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN former BLOB;
ALTER TABLE tokens ADD COLUMN former_until INTEGER;
ALTER TABLE tokens ADD COLUMN rotated INTEGER;
