/**
 * The tables of the embedded store, as migrations. The file's `user_version` counts the applied ones. Times are Unix
 * milliseconds by the store's clock. Append only.
 */
export const migrations: readonly string[] = [
  `
  -- What is known of each call: state 0 running, 1 done, 2 uncertain; keep 1 replay, 2 show.
  CREATE TABLE entries (
    key TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    intent TEXT NOT NULL,
    conversation TEXT NOT NULL,
    owner TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state INTEGER NOT NULL,
    keep INTEGER NOT NULL,
    result BLOB,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
  ) STRICT;
  CREATE INDEX entries_running ON entries (created_at) WHERE state = 0;
  CREATE INDEX entries_ended ON entries (ended_at) WHERE state <> 0;
  CREATE INDEX entries_conversation ON entries (conversation) WHERE conversation <> '';

  -- Durable batches: state is the number of the JobState, open is 1 for those that are not over.
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    state INTEGER NOT NULL,
    open INTEGER NOT NULL,
    record TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX jobs_open ON jobs (not_before, seq) WHERE open = 1;
  CREATE INDEX jobs_over ON jobs (changed_at) WHERE open = 0;
  CREATE INDEX jobs_state ON jobs (tenant, state, seq);
  CREATE INDEX jobs_tenant ON jobs (tenant, seq);

  -- One row: when the store was last asked whether it can write.
  CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
  `,
  `
  -- Tools registered while the service ran, each with its target as JSON text.
  CREATE TABLE registered_tools (name TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL) STRICT;
  `,
  `
  -- Of ended jobs only the few that are not DONE (4) are looked for among all of a tenant's; open ones have an index already.
  DROP INDEX jobs_state;
  CREATE INDEX jobs_failed ON jobs (tenant, state, seq) WHERE open = 0 AND state <> 4;
  `,
  `
  -- Who holds a job: the token of its last claim, and how often in a row the process died that held it.
  ALTER TABLE jobs ADD COLUMN token TEXT NOT NULL DEFAULT '';
  ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
  -- What jobs are erased by.
  ALTER TABLE jobs ADD COLUMN source TEXT NOT NULL DEFAULT '';
  ALTER TABLE jobs ADD COLUMN conversation TEXT NOT NULL DEFAULT '';
  ALTER TABLE jobs ADD COLUMN run TEXT NOT NULL DEFAULT '';
  CREATE INDEX jobs_conversation ON jobs (tenant, conversation) WHERE conversation <> '';
  CREATE INDEX jobs_run ON jobs (tenant, run) WHERE run <> '';
  -- Ended jobs go by their age, dead ones (5) later than others.
  DROP INDEX jobs_over;
  CREATE INDEX jobs_ended ON jobs (changed_at) WHERE open = 0 AND state <> 5;
  CREATE INDEX jobs_dead ON jobs (changed_at) WHERE state = 5;
  `,
  `
  -- Whose run an entry is, how long the run may last, and what it is erased by.
  ALTER TABLE entries ADD COLUMN run TEXT NOT NULL DEFAULT '';
  ALTER TABLE entries ADD COLUMN source TEXT NOT NULL DEFAULT '';
  ALTER TABLE entries ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
  ALTER TABLE entries ADD COLUMN is_write INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE entries ADD COLUMN timeout_ms INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE entries ADD COLUMN ends_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE entries ADD COLUMN acquired_at INTEGER NOT NULL DEFAULT 0;
  UPDATE entries SET source = coalesce(json_extract(intent, '$.scope.source'), ''),
    is_write = json_extract(intent, '$.effect') IS 'write',
    run = CASE WHEN coalesce(json_extract(intent, '$.scope.runId'), '') = '' THEN ''
      ELSE json_array(json_extract(intent, '$.scope.tenant'), json_extract(intent, '$.scope.runId')) END;
  CREATE INDEX entries_run ON entries (run) WHERE run <> '';
  DROP INDEX entries_ended;
  CREATE INDEX entries_done ON entries (ended_at) WHERE state = 1;
  CREATE INDEX entries_uncertain ON entries (ended_at) WHERE state = 2;
  `,
  `
  -- One row: which state of the database this is, and whether it was closed in it (see sqlite-identity.ts).
  CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), generation TEXT NOT NULL, closed INTEGER NOT NULL) STRICT;
  -- One row: the store's clock (see boot-clock.ts).
  CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT NOT NULL, uptime_ms INTEGER NOT NULL, time INTEGER NOT NULL,
    gap_ms INTEGER NOT NULL, gap_at INTEGER NOT NULL
  ) STRICT;
  `,
  `
  -- One row: random bits that outlive the process (see shared-secret.ts).
  CREATE TABLE shared_secret (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL) STRICT;
  `,
  `
  -- The keys that values were sealed with (see used-keys.ts).
  CREATE TABLE used_keys (id TEXT PRIMARY KEY NOT NULL, sample TEXT NOT NULL, used_at INTEGER NOT NULL) STRICT;
  `,
];

/** The newest time in the tables. The clock of a new process must not start before it. */
export const newestTime = `
  SELECT max(
    coalesce((SELECT max(created_at) FROM entries WHERE state = 0), 0),
    coalesce((SELECT max(ended_at) FROM entries WHERE state = 1), 0),
    coalesce((SELECT max(ended_at) FROM entries WHERE state = 2), 0),
    coalesce((SELECT max(changed_at) FROM jobs WHERE open = 0 AND state <> 5), 0),
    coalesce((SELECT max(changed_at) FROM jobs WHERE state = 5), 0),
    coalesce((SELECT max(created_at) FROM jobs WHERE seq = (SELECT max(seq) FROM jobs)), 0),
    coalesce((SELECT at FROM probe), 0)
  ) AS newest`;

/** Reads the persisted clock state. */
export const clockRecord = "SELECT boot, uptime_ms, time, gap_ms, gap_at FROM clock";

/** Writes the persisted clock state. */
export const saveClock = `INSERT INTO clock VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET
  boot = excluded.boot, uptime_ms = excluded.uptime_ms, time = excluded.time, gap_ms = excluded.gap_ms, gap_at = excluded.gap_at`;

/** The token of a job that was open in a database from a backup. */
export const restoredToken = "restored";

/**
 * For a database that was restored from a backup, whose open jobs and running calls may have ended since. The jobs
 * become DEAD (5), the calls UNCERTAIN (2) without a stored answer. The entries of the repeat guard end like the calls
 * that they stand for. `dateRestored` completes both.
 */
export const buryOpenJobs = `UPDATE jobs SET state = 5, open = 0, held = 0, token = '${restoredToken}', changed_at = -1
  WHERE open = 1`;
export const endRunningCalls = `UPDATE entries SET state = 2, keep = 1, result = NULL, ended_at = -1
  WHERE state = 0 AND key NOT LIKE 'repeat %'`;

/** Gives what was restored the store's time (?1), which is not known when the file is opened. */
export const dateRestored = [
  "UPDATE jobs SET changed_at = ?1 WHERE state = 5 AND changed_at < 0",
  "UPDATE entries SET ended_at = ?1 WHERE state = 2 AND ended_at < 0",
];
