/** `PRO1`: marks an SQLite file as a Protoline store. */
export const applicationId = 0x50524f31;

/**
 * Migration i takes a database from `user_version` i to i + 1. A migration that was released is never edited; the
 * next one is appended.
 *
 * A membership says that a sample is in a class from revision `since` until before revision `until` (null: still).
 * So a revision costs its change and not the gallery. Rows with large blobs have a rowid, the others are their index.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE gallery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, refresh TEXT NOT NULL,
    head INTEGER NOT NULL, seqs INTEGER NOT NULL, sets INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE embedding_set (
    gallery INTEGER NOT NULL REFERENCES gallery ON DELETE CASCADE, number INTEGER NOT NULL,
    model TEXT NOT NULL, model_hash TEXT NOT NULL, dim INTEGER NOT NULL,
    PRIMARY KEY (gallery, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE revision (
    gallery INTEGER NOT NULL REFERENCES gallery ON DELETE CASCADE, number INTEGER NOT NULL,
    hash TEXT NOT NULL, parent INTEGER, time INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
    classes INTEGER NOT NULL, samples INTEGER NOT NULL, decision TEXT NOT NULL, embedding_set INTEGER NOT NULL,
    PRIMARY KEY (gallery, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sample (
    gallery INTEGER NOT NULL REFERENCES gallery ON DELETE CASCADE, seq INTEGER NOT NULL,
    content_hash TEXT NOT NULL, origin TEXT NOT NULL, time INTEGER NOT NULL, who TEXT NOT NULL,
    pending TEXT, -- the label while the sample is in no revision yet
    PRIMARY KEY (gallery, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sample_content ON sample (gallery, content_hash);
  CREATE INDEX sample_pending ON sample (gallery, seq) WHERE pending IS NOT NULL;
  CREATE TABLE membership (
    gallery INTEGER NOT NULL, seq INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER, label TEXT NOT NULL,
    PRIMARY KEY (gallery, seq, since),
    FOREIGN KEY (gallery, seq) REFERENCES sample ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX membership_head ON membership (gallery, label, seq) WHERE until IS NULL;
  CREATE TABLE embedding (
    gallery INTEGER NOT NULL, embedding_set INTEGER NOT NULL, seq INTEGER NOT NULL,
    data BLOB NOT NULL, -- float32, little-endian, [views, dim]
    UNIQUE (gallery, embedding_set, seq),
    FOREIGN KEY (gallery, seq) REFERENCES sample ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX embedding_sample ON embedding (gallery, seq);
  CREATE TABLE image (
    gallery INTEGER NOT NULL REFERENCES gallery ON DELETE CASCADE, content_hash TEXT NOT NULL,
    type TEXT NOT NULL, whole INTEGER NOT NULL, bytes BLOB NOT NULL,
    UNIQUE (gallery, content_hash)
  ) STRICT;
  CREATE TABLE class (
    gallery INTEGER NOT NULL REFERENCES gallery ON DELETE CASCADE, label TEXT NOT NULL,
    n INTEGER NOT NULL, hash TEXT NOT NULL,
    sum BLOB NOT NULL, sum_of_squares BLOB NOT NULL, -- float64, little-endian, [dim]
    UNIQUE (gallery, label)
  ) STRICT;
  CREATE INDEX class_list ON class (gallery, label, n, hash);
  CREATE TABLE api_key (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL, created INTEGER NOT NULL
  ) STRICT;
  `,
];
