-- +goose Up
CREATE TABLE finding (
    id       BLOB    NOT NULL,
    at       INTEGER NOT NULL,
    rule     BLOB    NOT NULL,
    severity INTEGER NOT NULL,
    about    BLOB    NOT NULL, -- UUIDs of 16 bytes, one after the other
    topic    BLOB    NOT NULL,
    why      BLOB    NOT NULL,
    pk       INTEGER PRIMARY KEY
) STRICT;
CREATE INDEX finding_at ON finding (at);

-- +goose Down
DROP TABLE finding;
