-- Instants are nanoseconds since 1970 in UTC, 0 for the zero time. JSON is TEXT. {blob} is the dialect's type of bytes.

CREATE TABLE keys (
  pub         {blob}  PRIMARY KEY,
  id          TEXT    NOT NULL,
  fingerprint TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  since       BIGINT  NOT NULL,
  who         TEXT    NOT NULL,
  addr        TEXT    NOT NULL
);
-- An id belongs to one key; rejected and revoked keys stay known beside it.
CREATE UNIQUE INDEX keys_holder ON keys (id) WHERE state IN ('pending', 'accepted');
CREATE INDEX keys_id ON keys (id);

CREATE TABLE tokens (
  digest  TEXT   PRIMARY KEY,
  expires BIGINT NOT NULL,
  uses    BIGINT NOT NULL, -- left
  who     TEXT   NOT NULL
);

CREATE TABLE minions (
  id        TEXT    PRIMARY KEY,
  grains    TEXT    NOT NULL,
  tags      TEXT    NOT NULL,
  version   TEXT    NOT NULL,
  connected BOOLEAN NOT NULL,
  since     BIGINT  NOT NULL,
  last_seen BIGINT  NOT NULL,
  drained   BOOLEAN NOT NULL
);

CREATE TABLE jobs (
  id         TEXT   PRIMARY KEY,
  deployment TEXT   NOT NULL,
  app        TEXT   NOT NULL,
  grp        TEXT   NOT NULL,
  who        TEXT   NOT NULL,
  issued     BIGINT NOT NULL,
  job        TEXT   NOT NULL -- without minion, and without the arguments when it belongs to a deployment
);
CREATE INDEX jobs_issued ON jobs (issued, id);

-- The last number that each minion's jobs got. It outlives the minion's other rows, so that no number is used twice.
CREATE TABLE numbers (
  minion TEXT   PRIMARY KEY,
  seq    BIGINT NOT NULL
);

CREATE TABLE deliveries (
  job      TEXT   NOT NULL,
  minion   TEXT   NOT NULL,
  seq      BIGINT NOT NULL,
  deadline BIGINT NOT NULL,
  body     {blob}, -- NULL: not to be sent any more
  sig      {blob},
  PRIMARY KEY (job, minion),
  UNIQUE (minion, seq)
);
CREATE INDEX deliveries_due ON deliveries (deadline) WHERE body IS NOT NULL;

-- What a part said is the record that it became.
CREATE TABLE returns (
  job    TEXT    NOT NULL,
  minion TEXT    NOT NULL,
  part   BIGINT  NOT NULL,
  last   BOOLEAN NOT NULL,
  seq    BIGINT  NOT NULL, -- of its record in the log; 0: it said nothing
  PRIMARY KEY (job, minion, part)
);

CREATE TABLE revisions (
  app      TEXT   NOT NULL,
  digest   TEXT   NOT NULL,
  revision TEXT   NOT NULL,
  recipe   TEXT   NOT NULL,
  built    BIGINT NOT NULL,
  body     TEXT   NOT NULL,
  PRIMARY KEY (app, digest, revision, recipe)
);
CREATE INDEX revisions_made ON revisions (app, revision, recipe);

CREATE TABLE deployments (
  id      TEXT    PRIMARY KEY,
  app     TEXT    NOT NULL,
  grp     TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  ended   BOOLEAN NOT NULL,
  created BIGINT  NOT NULL,
  body    TEXT    NOT NULL
);
-- The lock of a group.
CREATE UNIQUE INDEX deployments_lock ON deployments (app, grp) WHERE NOT ended AND kind <> 'newcomer';
CREATE INDEX deployments_created ON deployments (created, id);

CREATE TABLE targets (
  app        TEXT   NOT NULL,
  grp        TEXT   NOT NULL,
  n          BIGINT NOT NULL, -- the highest is the present one
  digest     TEXT   NOT NULL,
  deployment TEXT   NOT NULL,
  since      BIGINT NOT NULL,
  PRIMARY KEY (app, grp, n)
);

CREATE TABLE live (
  app    TEXT   NOT NULL,
  grp    TEXT   NOT NULL,
  minion TEXT   NOT NULL,
  digest TEXT   NOT NULL,
  since  BIGINT NOT NULL,
  PRIMARY KEY (app, grp, minion)
);

CREATE TABLE log (
  seq        BIGINT PRIMARY KEY,
  deployment TEXT   NOT NULL,
  body       TEXT   NOT NULL
);
CREATE INDEX log_deployment ON log (deployment, seq) WHERE deployment <> '';

CREATE TABLE cursors (
  name TEXT   PRIMARY KEY,
  seq  BIGINT NOT NULL
);
