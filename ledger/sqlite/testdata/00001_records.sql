-- Times are integer microseconds since 1970 UTC. What comes from the network is a BLOB: it need not be valid UTF-8.

-- +goose Up
-- What the ledger knows of itself: one row. Records that start before floor were pruned and are not taken again.
CREATE TABLE ledger (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    commits   INTEGER NOT NULL, -- grows by one with each transaction
    transfers INTEGER NOT NULL, -- rows
    events    INTEGER NOT NULL, -- rows of event, gap and finding
    floor     INTEGER NOT NULL,
    late      INTEGER NOT NULL  -- records refused because they start before floor
) STRICT;
INSERT INTO ledger VALUES (1, 0, 0, 0, -9000000000000000000, 0);

-- The watermark of each agent. A row is never deleted.
CREATE TABLE agent (
    id    INTEGER PRIMARY KEY,
    agent BLOB NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL
) STRICT;

-- Hosts, protocols, kinds and witnesses.
CREATE TABLE word (
    id   INTEGER PRIMARY KEY,
    text BLOB NOT NULL UNIQUE
) STRICT;

-- File names as asked, or paths of files that nobody asked for by name.
CREATE TABLE file (
    id   INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE
) STRICT;
INSERT INTO file VALUES (0, x''); -- no name

-- Clients and servers: 16 bytes (IPv4 as ::ffff:a.b.c.d), then the zone, so that a prefix is a range.
CREATE TABLE address (
    id   INTEGER PRIMARY KEY,
    ip   BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL  -- as people write it, without the zone
) STRICT;

-- What many transfers have in common. Lists are separated by newlines. sum is of all other columns.
CREATE TABLE trait (
    id        INTEGER PRIMARY KEY,
    sum       BLOB NOT NULL UNIQUE,
    user_name BLOB NOT NULL,
    who_why   BLOB NOT NULL,
    exe       BLOB NOT NULL,
    software  BLOB NOT NULL,
    session   BLOB NOT NULL,
    to_class  BLOB NOT NULL,
    device    BLOB NOT NULL,
    root      BLOB NOT NULL, -- of the path, where the path ends in the name
    witnesses BLOB NOT NULL,
    against   BLOB NOT NULL,
    tags      BLOB NOT NULL,
    reason    BLOB NOT NULL  -- only a reason that has no number
) STRICT;

-- Protocol facts (JSON) of which only the numbers differ: the text, with a zero byte for each number. sum is of the text.
CREATE TABLE shape (
    id   INTEGER PRIMARY KEY,
    sum  BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL
) STRICT;

-- One row a record. pk holds the time of the UUID, so that a record is found by its UUID without a second index:
-- milliseconds << 20 | 20 random bits of the UUID, and the next free number where two are alike.
CREATE TABLE transfer (
    id          BLOB    NOT NULL,
    rev         INTEGER NOT NULL,
    merged      BLOB,             -- the record that took this one in
    start       INTEGER NOT NULL,
    took        INTEGER,          -- microseconds; NULL while it runs
    seen        INTEGER NOT NULL,
    host        INTEGER NOT NULL, -- word
    proto       INTEGER NOT NULL, -- word
    op          INTEGER NOT NULL,
    verdict     INTEGER NOT NULL,
    reason      INTEGER NOT NULL,
    content     INTEGER NOT NULL,
    flags       INTEGER NOT NULL, -- 1 no name, 2 boot search, 4 the path is the root of the trait and the name
    client      INTEGER NOT NULL, -- address, 0 = none
    port        INTEGER NOT NULL,
    server      INTEGER NOT NULL, -- address, 0 = none
    server_port INTEGER NOT NULL,
    file        INTEGER NOT NULL,
    path        BLOB,
    new_path    BLOB,
    expected    INTEGER,
    bytes       INTEGER,
    digest      BLOB,             -- 32 bytes of SHA-256, or a zero byte and the text of another digest
    trait       INTEGER NOT NULL,
    login       BLOB,
    pid         INTEGER NOT NULL,
    proc_start  INTEGER NOT NULL,
    shape       INTEGER,          -- NULL: details are the facts themselves
    details     BLOB,             -- the numbers of the shape, in the order of its zero bytes, 7 bits a byte, lowest first
    pk          INTEGER PRIMARY KEY
) STRICT;
CREATE INDEX transfer_start  ON transfer (start);
CREATE INDEX transfer_client ON transfer (client, start);
CREATE INDEX transfer_file   ON transfer (file, start);
CREATE INDEX transfer_odd    ON transfer (verdict, start) WHERE verdict IN (1, 3, 4, 7, 8);
CREATE INDEX transfer_slow   ON transfer (seen) WHERE seen - start > 60000000;

-- The evidence of one transfer, packed, under the pk of the transfer.
CREATE TABLE evidence (
    pk   INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE event (
    id          BLOB    NOT NULL,
    at          INTEGER NOT NULL,
    host        INTEGER NOT NULL, -- word
    witness     INTEGER NOT NULL, -- word
    kind        INTEGER NOT NULL, -- word
    client      INTEGER NOT NULL, -- address, 0 = none
    port        INTEGER NOT NULL,
    server      INTEGER NOT NULL,
    server_port INTEGER NOT NULL,
    user_name   BLOB    NOT NULL,
    pid         INTEGER NOT NULL,
    proc_start  INTEGER NOT NULL,
    exe         BLOB    NOT NULL,
    path        BLOB    NOT NULL,
    to_class    BLOB    NOT NULL,
    device      BLOB    NOT NULL,
    login       BLOB    NOT NULL,
    session     BLOB    NOT NULL,
    text        BLOB    NOT NULL,
    pk          INTEGER PRIMARY KEY
) STRICT;
CREATE INDEX event_at ON event (at);

CREATE TABLE gap (
    id      BLOB    NOT NULL,
    at      INTEGER NOT NULL, -- the end of the gap
    host    INTEGER NOT NULL, -- word
    witness INTEGER NOT NULL, -- word
    start   INTEGER NOT NULL,
    lost    INTEGER,
    why     BLOB    NOT NULL,
    pk      INTEGER PRIMARY KEY
) STRICT;
CREATE INDEX gap_at ON gap (at);

-- Counts, changed in the transaction that changes the rows. Series: 1 hour and protocol, 2 day and host, 3 day and client,
-- 4 day and file. slot is hours or days since 1970. searches counts probes and boot searches, which are no transfers.
CREATE TABLE rollup (
    series    INTEGER NOT NULL,
    slot      INTEGER NOT NULL,
    item      INTEGER NOT NULL,
    verdict   INTEGER NOT NULL, -- 0 in series 3 and 4
    direction INTEGER NOT NULL, -- 0 neither, 1 download, 2 upload
    transfers INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    searches  INTEGER NOT NULL,
    PRIMARY KEY (series, slot, item, verdict, direction)
) STRICT, WITHOUT ROWID;

-- Days of which series 4 keeps the first thousand files only.
CREATE TABLE rollup_cut (
    slot INTEGER PRIMARY KEY,
    done INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE rollup_cut;
DROP TABLE rollup;
DROP TABLE gap;
DROP TABLE event;
DROP TABLE evidence;
DROP TABLE transfer;
DROP TABLE shape;
DROP TABLE trait;
DROP TABLE address;
DROP TABLE file;
DROP TABLE word;
DROP TABLE agent;
DROP TABLE ledger;
