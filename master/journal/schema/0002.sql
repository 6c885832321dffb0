-- How far each minion's copy of a job has got, and how its return ended.

ALTER TABLE deliveries ADD COLUMN delivered BIGINT NOT NULL DEFAULT 0; -- when the minion had it safe; 0: not yet; -1: it never will
ALTER TABLE deliveries ADD COLUMN unsure BOOLEAN NOT NULL DEFAULT FALSE; -- sent on a connection that ended before it was acknowledged
ALTER TABLE deliveries ADD COLUMN killer TEXT NOT NULL DEFAULT ''; -- who wants it stopped
UPDATE deliveries SET delivered = deadline WHERE body IS NULL;
UPDATE deliveries SET unsure = TRUE WHERE body IS NOT NULL;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_open ON deliveries (minion, deadline) WHERE delivered = 0;
CREATE INDEX deliveries_killed ON deliveries (minion) WHERE killer <> '';

ALTER TABLE returns ADD COLUMN outcome TEXT NOT NULL DEFAULT ''; -- of a last part
UPDATE returns SET outcome = 'unknown' WHERE last;
