-- +goose Up
-- Renames, deletions and whatever else moves no content have an outcome, which their reason says, and no verdict. The roll-ups never counted them.
-- Without a verdict they stand in the index transfer_odd: outcome:unknown looks there.
UPDATE transfer SET verdict = 0, content = 0, digest = NULL WHERE op IN (5, 6, 7, 8, 11, 12, 13, 14, 15, 16) AND verdict > 1;

-- +goose Down
-- What was no verdict is that of the reason again, roughly: 5 is closed, 29 to 36 failed, 37 to 42 unproven.
UPDATE transfer SET verdict = CASE WHEN reason BETWEEN 1 AND 6 THEN 2 WHEN reason BETWEEN 37 AND 42 THEN 7 WHEN reason BETWEEN 8 AND 18 THEN 5 ELSE 3 END
    WHERE op IN (5, 6, 7, 8, 11, 12, 13, 14, 15, 16) AND verdict = 0;
