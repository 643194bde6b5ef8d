-- Looks at every user, and the drift they find.

INSERT INTO counters (name, value) VALUES ('look', 0);

-- Whoever has the lease may go on, until somebody else takes it after lease_until.
CREATE TABLE looks (
    id          BIGINT PRIMARY KEY,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    position    TEXT COLLATE "C",
    total       BIGINT NOT NULL,
    checked     BIGINT NOT NULL,
    drifted     BIGINT NOT NULL,
    lease       TEXT COLLATE "C",
    lease_until BIGINT,
    CHECK ((lease IS NULL) = (lease_until IS NULL)),
    CHECK (ended_at IS NULL OR lease IS NULL)
);

-- One is under way at a time.
CREATE UNIQUE INDEX looks_under_way ON looks ((ended_at IS NULL)) WHERE ended_at IS NULL;

-- Users whose roles are not what Stripe says, and customers without a user. `roles` is a JSON list.
CREATE TABLE drift (
    subject  TEXT COLLATE "C" PRIMARY KEY,
    kind     TEXT COLLATE "C" NOT NULL CHECK (kind IN ('missing', 'extra', 'other', 'unmatched')),
    user_id  TEXT COLLATE "C",
    customer TEXT COLLATE "C",
    plan     TEXT COLLATE "C",
    roles    TEXT NOT NULL,
    why      TEXT NOT NULL,
    found_at BIGINT NOT NULL,
    look     BIGINT NOT NULL
);
