-- +goose Up
-- The index of the verdicts that are few and looked for, by what they are not: for a list of values (IN) SQLite builds a table of them with each statement
-- that inserts a row, and for the verdict that most rows have, one comparison is enough.
DROP INDEX transfer_odd;
CREATE INDEX transfer_odd ON transfer (verdict, start) WHERE verdict <> 2 AND verdict <> 5 AND verdict <> 6;

-- +goose Down
DROP INDEX transfer_odd;
CREATE INDEX transfer_odd ON transfer (verdict, start) WHERE verdict IN (1, 3, 4, 7, 8);
