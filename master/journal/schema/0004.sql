-- Where each minion is inside a deployment is a row of its own: with one row for the whole deployment, each step of each of
-- 10,000 minions would write all of them again. Older deployments keep theirs in the body.

CREATE TABLE progress (
  deployment TEXT   NOT NULL,
  minion     TEXT   NOT NULL,
  n          BIGINT NOT NULL, -- place in the plan
  body       TEXT   NOT NULL,
  PRIMARY KEY (deployment, minion)
);

CREATE TABLE locks (
  app   TEXT   NOT NULL,
  grp   TEXT   NOT NULL, -- empty: all groups of the application
  until BIGINT NOT NULL, -- 0: for ever
  body  TEXT   NOT NULL,
  PRIMARY KEY (app, grp)
);
