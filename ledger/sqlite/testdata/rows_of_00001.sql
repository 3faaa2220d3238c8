-- What the first version wrote of one transfer.
DELETE FROM ledger;
DELETE FROM file;
INSERT INTO ledger (one, commits, transfers, events, floor, late) VALUES (1, 1, 1, 0, -9000000000000000000, 0);
INSERT INTO agent (id, agent, epoch, seq) VALUES (1, x'dead0000000000000000000000000000', 1, 7);
INSERT INTO word (id, text) VALUES (1, x'68');
INSERT INTO word (id, text) VALUES (2, x'74667470');
INSERT INTO file (id, name) VALUES (0, x'');
INSERT INTO file (id, name) VALUES (1, x'66696c652d37');
INSERT INTO trait (id, sum, user_name, who_why, exe, software, session, to_class, device, root, witnesses, against, tags, reason) VALUES (1, x'15ec7bf0b50732b49f8228e07d243653', x'', x'', x'', x'', x'', x'', x'', x'', x'', x'', x'', x'');
INSERT INTO transfer (id, rev, merged, start, took, seen, host, proto, op, verdict, reason, content, flags, client, port, server, server_port, file, path, new_path, expected, bytes, digest, trait, login, pid, proc_start, shape, details, pk) VALUES (x'019ccfeb24a07509bd46b06d2addb2d2', 2, NULL, 1773014820000000, 1000000, 1773014820000000, 1, 2, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, NULL, NULL, NULL, 7, NULL, 1, NULL, 0, 0, NULL, NULL, 1859140787896650229);
INSERT INTO evidence (pk, body) VALUES (1859140787896650229, x'01017e134104010700000000000000000100');
INSERT INTO rollup (series, slot, item, verdict, direction, transfers, bytes, searches) VALUES (1, 492504, 2, 2, 1, 1, 7, 0);
INSERT INTO rollup (series, slot, item, verdict, direction, transfers, bytes, searches) VALUES (2, 20521, 1, 2, 1, 1, 7, 0);
INSERT INTO rollup (series, slot, item, verdict, direction, transfers, bytes, searches) VALUES (4, 20521, 1, 0, 1, 1, 7, 0);
