"""The tables of a run, and how those of older formats become these."""

FORMAT = 3
"""Version of the tables, kept in SQLite's `user_version`."""

TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE session (
    no INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    started_at REAL NOT NULL,
    seen_at REAL NOT NULL
);
CREATE TABLE blob (
    sha TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('kept', 'dropped'))
);
CREATE TABLE individual (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('ancestor', 'mutant', 'clone', 'repeat')),
    birth INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    parent_id TEXT REFERENCES individual (id),
    genotype TEXT NOT NULL,
    digest TEXT NOT NULL,
    changes TEXT NOT NULL,
    seed INTEGER NOT NULL,
    num_parameters INTEGER NOT NULL,
    num_macs INTEGER NOT NULL,
    latency_ms REAL,
    latency_device TEXT,
    created_at REAL NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('proposed', 'running', 'done', 'failed')),
    fail_reason TEXT,
    loss REAL,
    error REAL,
    fitness REAL,
    result TEXT NOT NULL,
    blob TEXT REFERENCES blob (sha),
    finished_at REAL,
    seconds REAL
);
CREATE UNIQUE INDEX one_birth ON individual (birth) WHERE kind IN ('ancestor', 'mutant');
CREATE UNIQUE INDEX one_genotype ON individual (digest) WHERE kind IN ('ancestor', 'mutant');
CREATE INDEX by_status ON individual (status);
CREATE INDEX by_generation ON individual (generation, status, kind, fitness);
CREATE INDEX clones ON individual (parent_id) WHERE kind = 'clone';
CREATE INDEX repeats ON individual (birth, fitness) WHERE kind = 'repeat';
CREATE INDEX by_fitness ON individual (fitness, birth, error, num_parameters, num_macs, latency_ms,
    blob, id, status, kind) WHERE status = 'done' AND kind IN ('ancestor', 'mutant');
CREATE INDEX by_blob ON individual (blob);
CREATE INDEX kept_blobs ON blob (state, sha, bytes) WHERE state = 'kept';
CREATE TABLE attempt (
    individual_id TEXT NOT NULL REFERENCES individual (id),
    no INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    started_at REAL NOT NULL,
    lease_until REAL NOT NULL,
    ended_at REAL,
    outcome TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'failed', 'diverged', 'oom',
                                             'lost', 'timeout', 'interrupted', 'duplicate')),
    error TEXT,
    busy_seconds REAL,
    PRIMARY KEY (individual_id, no)
);
CREATE UNIQUE INDEX one_result ON attempt (individual_id) WHERE outcome = 'done';
CREATE INDEX by_outcome ON attempt (outcome, ended_at);
CREATE TABLE latency (
    digest TEXT NOT NULL,
    device TEXT NOT NULL,
    milliseconds REAL NOT NULL,
    PRIMARY KEY (digest, device)
);
CREATE TABLE event (
    no INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL
)
"""
"""`one_result` makes a result count once, whatever the code above it does. `by_fitness` and
`by_generation` hold all that their queries ask for: a row, with its result, fills a page."""

MIGRATIONS = {
    2: """
DROP INDEX by_generation;
DROP INDEX by_fitness;
DROP INDEX open_attempts;
CREATE INDEX by_generation ON individual (generation, status, kind, fitness);
CREATE INDEX clones ON individual (parent_id) WHERE kind = 'clone';
CREATE INDEX repeats ON individual (birth, fitness) WHERE kind = 'repeat';
CREATE INDEX by_fitness ON individual (fitness, birth, error, num_parameters, num_macs, latency_ms,
    blob, id, status, kind) WHERE status = 'done' AND kind IN ('ancestor', 'mutant');
CREATE INDEX kept_blobs ON blob (state, sha, bytes) WHERE state = 'kept';
CREATE INDEX by_outcome ON attempt (outcome, ended_at)
""",
}
"""Format -> the statements that make the next one of it, in one transaction. They are run in order,
and none is changed once a version of evopose that has it is out; new columns have defaults."""
