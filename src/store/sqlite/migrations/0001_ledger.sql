-- The ledger. Times are milliseconds since the Unix epoch, true is 1.

-- Numbers that grow over all rows. A writer holds its counter until it commits, so whoever sees a number sees all
-- before it.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, value) VALUES ('generation', 0), ('sequence', 0);

-- What Stripe sent, in the order it came. The body stands last, so that reading the rest does not touch its pages.
CREATE TABLE events (
    number       INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    event_type   TEXT NOT NULL,
    live         INTEGER NOT NULL CHECK (live IN (0, 1)),
    created_at   INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    processed_at INTEGER,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'processed', 'ignored', 'unmatched')),
    reason       TEXT,
    customer     TEXT,
    user_id      TEXT,
    object_kind  TEXT,
    object_id    TEXT,
    body         BLOB
) STRICT;

CREATE INDEX events_by_state ON events (state, number);
CREATE INDEX events_by_type ON events (event_type, number);
CREATE INDEX events_by_user ON events (user_id, number);
CREATE INDEX events_by_customer ON events (customer, number);
CREATE INDEX events_to_prune ON events (received_at) WHERE body IS NOT NULL AND state IN ('processed', 'ignored');

-- What is still to be done. While a job runs, run_at is the end of its lease.
CREATE TABLE jobs (
    key        TEXT PRIMARY KEY,
    state      TEXT NOT NULL CHECK (state IN ('queued', 'running', 'dead')),
    priority   INTEGER NOT NULL CHECK (priority IN (0, 1)),
    generation INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    run_at     INTEGER NOT NULL,
    -- When it was first asked for since it was taken.
    asked_at   INTEGER,
    why        TEXT NOT NULL,
    event      TEXT,
    lease      TEXT,
    error      TEXT,
    CHECK ((state = 'running') = (lease IS NOT NULL))
) STRICT;

CREATE INDEX jobs_due ON jobs (priority, run_at, key) WHERE state <> 'dead';
CREATE INDEX jobs_by_state ON jobs (state, since);

-- The jobs that an event waits for, and which request of each. With the last row gone it is processed.
CREATE TABLE event_jobs (
    job        TEXT NOT NULL REFERENCES jobs (key),
    event      INTEGER NOT NULL REFERENCES events (number),
    generation INTEGER NOT NULL,
    PRIMARY KEY (job, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_jobs_by_event ON event_jobs (event);

-- Which Stripe customers have to do with which users. A higher kind is a stronger one.
CREATE TABLE customers (
    customer   TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    kind       INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    created_at INTEGER NOT NULL,
    deleted    INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    PRIMARY KEY (customer, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX customers_by_user ON customers (user_id, created_at);

-- Checkout Sessions.
CREATE TABLE purchases (
    session    TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    customer   TEXT,
    plan       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'complete', 'expired')),
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX purchases_by_user ON purchases (user_id, created_at);

-- What each user has a right to. `roles` is a JSON list.
CREATE TABLE entitlements (
    user_id      TEXT PRIMARY KEY,
    sequence     INTEGER NOT NULL UNIQUE,
    generation   INTEGER NOT NULL,
    plan         TEXT,
    paid         INTEGER NOT NULL CHECK (paid IN (0, 1)),
    backing      TEXT,
    status       TEXT,
    ends         INTEGER CHECK (ends IN (0, 1)),
    period_end   INTEGER,
    recheck_at   INTEGER,
    changed_at   INTEGER,
    confirmed_at INTEGER,
    activated_at INTEGER,
    roles        TEXT,
    metadata     TEXT
) STRICT;

CREATE INDEX entitlements_to_recheck ON entitlements (recheck_at) WHERE recheck_at IS NOT NULL;
CREATE INDEX entitlements_paid ON entitlements (plan) WHERE paid = 1;

-- The audit. It only grows.
CREATE TABLE role_changes (
    number  INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    action  TEXT NOT NULL CHECK (action IN ('assign', 'remove', 'end_subscription')),
    subject TEXT NOT NULL,
    plan    TEXT,
    why     TEXT NOT NULL,
    event   TEXT,
    at      INTEGER NOT NULL,
    error   TEXT
) STRICT;

CREATE INDEX role_changes_by_user ON role_changes (user_id, number);

CREATE TRIGGER role_changes_stay BEFORE UPDATE ON role_changes
BEGIN
    SELECT RAISE(ABORT, 'a line of the audit is never changed');
END;

CREATE TRIGGER role_changes_remain BEFORE DELETE ON role_changes
BEGIN
    SELECT RAISE(ABORT, 'a line of the audit is never deleted');
END;
