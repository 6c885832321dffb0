-- How much of the log in front of the tables is in them: the number of its last record. See front.go.

CREATE TABLE filled (n BIGINT NOT NULL);
INSERT INTO filled (n) VALUES (0);
