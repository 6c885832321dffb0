-- A job is stored once for all of its minions, and signed when it is sent.

CREATE TABLE bodies (
  job    TEXT   NOT NULL,
  minion TEXT   NOT NULL, -- empty: of all deliveries that share it
  body   {blob} NOT NULL, -- the job as JSON
  open   BIGINT NOT NULL, -- deliveries that may still be sent; at 0 the row goes, because it may hold secrets
  PRIMARY KEY (job, minion)
);
INSERT INTO bodies (job, minion, body, open) SELECT job, minion, body, 1 FROM deliveries WHERE body IS NOT NULL AND delivered = 0;

-- 0: not to be sent any more, 1: what is sent is the shared body, 2: the minion's own.
ALTER TABLE deliveries ADD COLUMN copy BIGINT NOT NULL DEFAULT 0;
UPDATE deliveries SET copy = 2 WHERE body IS NOT NULL AND delivered = 0;
ALTER TABLE deliveries DROP COLUMN body;
ALTER TABLE deliveries DROP COLUMN sig;
