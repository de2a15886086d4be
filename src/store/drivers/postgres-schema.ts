/**
 * Migration i takes a schema from version i to i + 1. A migration that was released is never edited; the next one is
 * appended. The tables are those of the SQLite driver; texts sort by their bytes, whatever the database's language.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE protoline (version integer NOT NULL);
  INSERT INTO protoline VALUES (0);
  CREATE TABLE gallery (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE, refresh text NOT NULL,
    head integer NOT NULL, seqs integer NOT NULL, sets integer NOT NULL
  );
  CREATE TABLE embedding_set (
    gallery integer NOT NULL REFERENCES gallery ON DELETE CASCADE, number integer NOT NULL,
    model text NOT NULL, model_hash text NOT NULL, dim integer NOT NULL,
    PRIMARY KEY (gallery, number)
  );
  CREATE TABLE revision (
    gallery integer NOT NULL REFERENCES gallery ON DELETE CASCADE, number integer NOT NULL,
    hash text NOT NULL, parent integer, time bigint NOT NULL, who text NOT NULL, reason text NOT NULL,
    classes integer NOT NULL, samples integer NOT NULL, decision text NOT NULL, embedding_set integer NOT NULL,
    PRIMARY KEY (gallery, number)
  );
  CREATE TABLE sample (
    gallery integer NOT NULL REFERENCES gallery ON DELETE CASCADE, seq integer NOT NULL,
    content_hash text COLLATE "C" NOT NULL, origin text NOT NULL, time bigint NOT NULL, who text NOT NULL,
    pending text COLLATE "C", -- the label while the sample is in no revision yet
    PRIMARY KEY (gallery, seq)
  );
  CREATE INDEX sample_content ON sample (gallery, content_hash);
  CREATE INDEX sample_pending ON sample (gallery, seq) WHERE pending IS NOT NULL;
  CREATE TABLE membership (
    gallery integer NOT NULL, seq integer NOT NULL, since integer NOT NULL, until integer,
    label text COLLATE "C" NOT NULL,
    PRIMARY KEY (gallery, seq, since),
    FOREIGN KEY (gallery, seq) REFERENCES sample ON DELETE CASCADE
  );
  CREATE UNIQUE INDEX membership_head ON membership (gallery, label, seq) WHERE until IS NULL;
  CREATE TABLE embedding (
    gallery integer NOT NULL, embedding_set integer NOT NULL, seq integer NOT NULL,
    data bytea NOT NULL, -- float32, little-endian, [views, dim]
    PRIMARY KEY (gallery, embedding_set, seq),
    FOREIGN KEY (gallery, seq) REFERENCES sample ON DELETE CASCADE
  );
  CREATE INDEX embedding_sample ON embedding (gallery, seq);
  ALTER TABLE embedding ALTER COLUMN data SET STORAGE EXTERNAL; -- compressing these would gain nothing
  CREATE TABLE image (
    gallery integer NOT NULL REFERENCES gallery ON DELETE CASCADE, content_hash text COLLATE "C" NOT NULL,
    type text NOT NULL, whole boolean NOT NULL, bytes bytea NOT NULL,
    PRIMARY KEY (gallery, content_hash)
  );
  ALTER TABLE image ALTER COLUMN bytes SET STORAGE EXTERNAL;
  CREATE TABLE class (
    gallery integer NOT NULL REFERENCES gallery ON DELETE CASCADE, label text COLLATE "C" NOT NULL,
    n integer NOT NULL, hash text NOT NULL,
    sum bytea NOT NULL, sum_of_squares bytea NOT NULL, -- float64, little-endian, [dim]
    PRIMARY KEY (gallery, label)
  );
  CREATE TABLE api_key (
    id text COLLATE "C" PRIMARY KEY, name text NOT NULL, hash text NOT NULL, scopes text NOT NULL,
    created bigint NOT NULL
  );
  `,
];
