"""The ledger's tables, one migration a change; applied and recorded by sqlite-utils, each in one transaction.

Times are ISO 8601 in UTC with milliseconds (`2026-11-21T02:03:15.250Z`), sizes bytes, lengths seconds, structures JSON.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("drophammer")

TABLES = """
CREATE TABLE jobs (
    id            TEXT PRIMARY KEY,             -- 20261121-020315-industrial-set-0042
    number        INTEGER NOT NULL,             -- the counter in the id
    name          TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN
                  ('waiting', 'queued', 'running', 'publishing', 'done', 'failed', 'cancelled')),
    reason        TEXT,                         -- why it waits, failed or was cancelled: one line for people
    document      TEXT NOT NULL,                -- the job file as submitted
    origin        TEXT NOT NULL CHECK (origin IN ('inbox', 'audio', 'schedule', 'command')),
    source_path   TEXT,                         -- the dropped file, as it was found
    source_identity TEXT,                       -- JSON: device, inode, size, mtime_ns, sha256
    priority      INTEGER NOT NULL DEFAULT 0,
    seed          INTEGER NOT NULL,
    deliver       TEXT,                         -- JSON: to, as, beside
    from_wanted   TEXT,                         -- the job id or name after `from:`
    from_job      TEXT REFERENCES jobs (id),    -- the job it turned out to be
    failures      INTEGER NOT NULL DEFAULT 0,   -- runs that failed in a job that is done all the same
    procedural    INTEGER NOT NULL DEFAULT 0,   -- 1: the fallback stood in for a model that is not here
    cancel_asked  INTEGER NOT NULL DEFAULT 0,
    folder        TEXT,                         -- where it was published
    accepted_at   TEXT NOT NULL,
    wait_until    TEXT,                         -- when waiting for inputs ends in failure
    started_at    TEXT,
    finished_at   TEXT
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_name ON jobs (name, finished_at);
CREATE INDEX jobs_by_source ON jobs (source_path);

CREATE TABLE steps (
    id            INTEGER PRIMARY KEY,
    job_id        TEXT NOT NULL REFERENCES jobs (id),
    position      INTEGER NOT NULL,             -- 1, 2, ... in the order of the file
    name          TEXT NOT NULL,
    handler       TEXT NOT NULL,
    params        TEXT NOT NULL,                -- JSON, after defaults
    needs         TEXT NOT NULL,                -- JSON: names of the steps it reads
    inputs        TEXT NOT NULL,                -- JSON: references as written, in order
    sources       TEXT NOT NULL,                -- JSON: what each reference means: a step's items, a path, a job's items
    for_each      TEXT,                         -- JSON: in, start, limit
    min_success   INTEGER NOT NULL DEFAULT 1,
    retries       INTEGER NOT NULL,
    timeout_s     REAL NOT NULL,
    fallback      TEXT,
    lane          TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'queued', 'running', 'done', 'failed', 'cancelled')),
    started_at    TEXT,
    finished_at   TEXT,
    UNIQUE (job_id, name)
);

-- What is scheduled: a step has one run, a for_each step one per item of the step it goes over.
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY,
    job_id        TEXT NOT NULL REFERENCES jobs (id),
    step_id       INTEGER NOT NULL REFERENCES steps (id),
    ordinal       INTEGER NOT NULL,             -- 1, 2, ...
    key           TEXT NOT NULL,                -- '' or the content this run goes over
    each          TEXT,                         -- what `each` stands for in this run: a reference, or a row's label
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'queued', 'running', 'done', 'failed', 'cancelled')),
    priority      INTEGER NOT NULL DEFAULT 0,
    lane          TEXT NOT NULL,
    failed_attempts INTEGER NOT NULL DEFAULT 0, -- ended with an error that may pass
    crashes       INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    not_before    TEXT,                         -- backoff
    phase         TEXT,
    done          REAL,
    total         REAL,
    unit          TEXT,
    progress_at   TEXT,
    started_at    TEXT,
    finished_at   TEXT,
    UNIQUE (step_id, key)
);
CREATE INDEX runs_by_state ON runs (state, lane, priority DESC, id);
CREATE INDEX runs_by_job ON runs (job_id);

CREATE TABLE attempts (
    id            INTEGER PRIMARY KEY,
    job_id        TEXT NOT NULL REFERENCES jobs (id),
    run_id        INTEGER NOT NULL REFERENCES runs (id),
    number        INTEGER NOT NULL,             -- 1, 2, ... of this run
    lane          TEXT NOT NULL,
    folder        TEXT NOT NULL,                -- below the outbox's .staging
    worker_pid    INTEGER NOT NULL,
    worker_start  INTEGER NOT NULL,             -- clock ticks after boot, from /proc/PID/stat
    boot_id       TEXT NOT NULL,
    outcome       TEXT CHECK (outcome IN ('done', 'failed', 'crashed', 'interrupted', 'cancelled')),  -- NULL: running
    meaning       TEXT,                         -- invalid, transient, out_of_memory, cancelled, bug, timeout
    message       TEXT,
    traceback     TEXT,
    warnings      TEXT,                         -- JSON list
    inputs        TEXT,                         -- JSON: label, path, sha256 of every file read
    versions      TEXT,                         -- JSON: handler, python, libraries
    cpu_s         REAL,
    peak_memory_bytes INTEGER,
    started_at    TEXT NOT NULL,
    ended_at      TEXT
);
CREATE INDEX attempts_by_run ON attempts (run_id);
CREATE INDEX attempts_running ON attempts (id) WHERE outcome IS NULL;

CREATE TABLE artifacts (
    id            INTEGER PRIMARY KEY,
    job_id        TEXT NOT NULL REFERENCES jobs (id),
    run_id        INTEGER NOT NULL REFERENCES runs (id),
    attempt_id    INTEGER NOT NULL REFERENCES attempts (id),
    item          INTEGER NOT NULL,             -- within its run: 1, 2, ...
    kind          TEXT NOT NULL CHECK (kind IN ('primary', 'rendition', 'part', 'sidecar')),
    label         TEXT NOT NULL,                -- '' for a primary
    path          TEXT NOT NULL,                -- below the outbox's .staging, while it is there
    published     TEXT NOT NULL,                -- file name in the job's folder
    size_bytes    INTEGER NOT NULL,
    sha256        TEXT NOT NULL,
    facts         TEXT NOT NULL,                -- JSON
    created_at    TEXT NOT NULL
);
CREATE INDEX artifacts_by_job ON artifacts (job_id);
CREATE INDEX artifacts_by_content ON artifacts (sha256);

CREATE TABLE events (
    id            INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,
    level         TEXT NOT NULL,
    job_id        TEXT,                         -- no foreign key: events are pruned, and may precede their job
    event         TEXT NOT NULL,                -- a sentence
    facts         TEXT NOT NULL                 -- JSON
);
CREATE INDEX events_by_job ON events (job_id, id);
CREATE INDEX events_by_time ON events (at);

CREATE TABLE drops (                            -- audio seen in the inboxes
    path          TEXT PRIMARY KEY,
    identity      TEXT NOT NULL,                -- JSON: device, inode, size, mtime_ns
    sha256        TEXT,
    route         TEXT,                         -- the handler it was given to; NULL: left alone
    job_id        TEXT REFERENCES jobs (id),
    note          TEXT,                         -- why no job was made
    seen_at       TEXT NOT NULL
);
CREATE INDEX drops_by_content ON drops (sha256, route);

CREATE TABLE rejections (                       -- files that are no job
    id            INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,
    path          TEXT NOT NULL,                -- as dropped
    moved_to      TEXT,
    reason        TEXT NOT NULL
);

CREATE TABLE firings (
    schedule      TEXT NOT NULL,
    due_at        TEXT NOT NULL,
    outcome       TEXT NOT NULL CHECK (outcome IN ('queued', 'missed', 'coalesced', 'skipped', 'refused')),
    job_id        TEXT REFERENCES jobs (id),
    note          TEXT,
    recorded_at   TEXT NOT NULL,
    PRIMARY KEY (schedule, due_at)
);

CREATE TABLE schedules (
    name          TEXT PRIMARY KEY,
    definition    TEXT NOT NULL,                -- expression, zone, enabled or not
    since         TEXT NOT NULL                 -- when it was first seen so: nothing before this was missed
);

CREATE TABLE lanes (                            -- what people asked of a lane
    name          TEXT PRIMARY KEY,
    paused        INTEGER NOT NULL DEFAULT 0,
    paused_until  TEXT
);

CREATE VIEW recent_jobs AS
    SELECT id, name, state, reason, accepted_at, started_at, finished_at,
           round((julianday(finished_at) - julianday(started_at)) * 86400, 1) AS took_s, folder
    FROM jobs ORDER BY accepted_at DESC, id DESC LIMIT 200;

CREATE VIEW lane_use AS
    SELECT attempts.lane, attempts.started_at, attempts.ended_at,
           round((julianday(attempts.ended_at) - julianday(attempts.started_at)) * 86400, 3) AS took_s,
           attempts.outcome, attempts.job_id, steps.name AS step, steps.handler, runs.ordinal AS run, attempts.number AS attempt
    FROM attempts JOIN runs ON runs.id = attempts.run_id JOIN steps ON steps.id = runs.step_id
    ORDER BY attempts.started_at;
"""


@migrations()
def create_tables(db: Database) -> None:
    _execute(db, TABLES)


SEEDS_AND_KEPT_ITEMS = """
ALTER TABLE jobs ADD COLUMN seeds TEXT;         -- JSON list: one whole result each; NULL: the one of `seed`
ALTER TABLE steps ADD COLUMN seed INTEGER;      -- of a job with several seeds: this step's; its name is seed-7/beds then
ALTER TABLE steps ADD COLUMN keep TEXT;         -- JSON: item number, and the earlier job's item it is: {"3": "from/beds/3"}
CREATE TABLE kept (                             -- items that someone wants to keep when the rest is made anew
    job_id        TEXT NOT NULL REFERENCES jobs (id),
    step          TEXT NOT NULL,
    item          INTEGER NOT NULL,             -- as references count: through all runs of the step
    kept_at       TEXT NOT NULL,
    PRIMARY KEY (job_id, step, item)
);
"""


@migrations()
def seeds_and_kept_items(db: Database) -> None:
    _execute(db, SEEDS_AND_KEPT_ITEMS)


ROWS_AND_PUBLISHED_NAMES = """
ALTER TABLE runs ADD COLUMN row TEXT;           -- JSON: the row of a table that this run goes over; NULL: an item
CREATE INDEX artifacts_by_name ON artifacts (job_id, published COLLATE NOCASE);
"""


@migrations()
def rows_and_published_names(db: Database) -> None:
    _execute(db, ROWS_AND_PUBLISHED_NAMES)


WORKING_FOLDERS = """
ALTER TABLE jobs ADD COLUMN keep_work INTEGER NOT NULL DEFAULT 0;  -- 1: working folders are published too
"""


@migrations()
def working_folders(db: Database) -> None:
    _execute(db, WORKING_FOLDERS)


def _execute(db: Database, text: str) -> None:
    """Run statements one at a time: executescript would commit the transaction that records the migration."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if line.split("--")[0].rstrip().endswith(";"):
            db.conn.execute(statement)
            statement = ""
