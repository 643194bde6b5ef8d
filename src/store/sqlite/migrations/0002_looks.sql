-- Looks at every user, and the drift they find.

INSERT INTO counters (name, value) VALUES ('look', 0);

-- Whoever has the lease may go on, until somebody else takes it after lease_until.
CREATE TABLE looks (
    id          INTEGER PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    position    TEXT,
    total       INTEGER NOT NULL,
    checked     INTEGER NOT NULL,
    drifted     INTEGER NOT NULL,
    lease       TEXT,
    lease_until INTEGER,
    CHECK ((lease IS NULL) = (lease_until IS NULL)),
    CHECK (ended_at IS NULL OR lease IS NULL)
) STRICT;

-- One is under way at a time.
CREATE UNIQUE INDEX looks_under_way ON looks ((ended_at IS NULL)) WHERE ended_at IS NULL;

-- Users whose roles are not what Stripe says, and customers without a user. `roles` is a JSON list.
CREATE TABLE drift (
    subject  TEXT PRIMARY KEY,
    kind     TEXT NOT NULL CHECK (kind IN ('missing', 'extra', 'other', 'unmatched')),
    user_id  TEXT,
    customer TEXT,
    plan     TEXT,
    roles    TEXT NOT NULL,
    why      TEXT NOT NULL,
    found_at INTEGER NOT NULL,
    look     INTEGER NOT NULL
) STRICT;
