import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { countLimit, suspectDeaths } from "../job-table.ts";

const matching = `tenant = $1 AND ($2 = '' OR source = $2) AND ($3 = '' OR conversation = $3) AND ($4 = '' OR run = $4)
  AND (($3 <> '' AND conversation <> '') OR ($3 = '' AND $4 <> '' AND run <> ''))`;

/** The table of jobs on PostgreSQL. Idempotent. Times are Unix milliseconds of the server's clock. */
export const schema = `
CREATE SCHEMA IF NOT EXISTS jackfield;
CREATE TABLE IF NOT EXISTS jackfield.jobs (
  seq bigserial PRIMARY KEY, id text NOT NULL UNIQUE, tenant text NOT NULL, source text NOT NULL, conversation text NOT NULL,
  run text NOT NULL, state smallint NOT NULL, open boolean NOT NULL, record text NOT NULL, token text NOT NULL,
  held boolean NOT NULL, deaths integer NOT NULL DEFAULT 0, due_at bigint NOT NULL, created_at bigint NOT NULL,
  changed_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_due ON jackfield.jobs (due_at, seq) WHERE open;
CREATE INDEX IF NOT EXISTS jobs_open ON jackfield.jobs (seq) WHERE open;
CREATE INDEX IF NOT EXISTS jobs_held ON jackfield.jobs (token) WHERE held;
CREATE INDEX IF NOT EXISTS jobs_tenant ON jackfield.jobs (tenant, seq);
CREATE INDEX IF NOT EXISTS jobs_state ON jackfield.jobs (tenant, state, seq) WHERE state <> ${JobState.DONE};
CREATE INDEX IF NOT EXISTS jobs_conversation ON jackfield.jobs (tenant, conversation) WHERE conversation <> '';
CREATE INDEX IF NOT EXISTS jobs_run ON jackfield.jobs (tenant, run) WHERE run <> '';
CREATE INDEX IF NOT EXISTS jobs_ended ON jackfield.jobs (changed_at) WHERE NOT open AND state <> ${JobState.DEAD};
CREATE INDEX IF NOT EXISTS jobs_dead ON jackfield.jobs (changed_at) WHERE state = ${JobState.DEAD};
CREATE TABLE IF NOT EXISTS jackfield.job_probe (id smallint PRIMARY KEY, at bigint NOT NULL);
CREATE OR REPLACE FUNCTION jackfield.job_time() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Erases the jobs of a tenant, source, conversation and run. Each of the two statements sees what was committed before
-- it: a job that is claimed or ends meanwhile is emptied by the first, and the second deletes those that nobody holds.
CREATE OR REPLACE FUNCTION jackfield.erase_jobs(text, text, text, text) RETURNS integer LANGUAGE plpgsql
  SET plan_cache_mode = force_custom_plan AS $$
DECLARE erased integer;
BEGIN
  UPDATE jackfield.jobs SET record = '' WHERE record <> '' AND ${matching};
  GET DIAGNOSTICS erased = ROW_COUNT;
  DELETE FROM jackfield.jobs WHERE NOT held AND record = '' AND ${matching};
  RETURN erased;
END $$;
`;

const columns = "id, tenant, state, record, token, held, deaths, created_at, changed_at, seq";
/**
 * The server's time, evaluated once per statement: a volatile function in a condition would prevent the use of indexes.
 */
const now = "(SELECT jackfield.job_time())";

/**
 * Selects the first rows of a page whose records total at most $4 bytes, but at least one row. $3 is the page size plus
 * one.
 */
function listing(condition: string): string {
  return `WITH page AS (SELECT seq AS at, octet_length(record) AS bytes FROM jackfield.jobs
      WHERE tenant = $1 AND seq < $2 AND record <> '' AND ${condition} ORDER BY seq DESC LIMIT $3),
    sized AS (SELECT at, bytes, sum(bytes) OVER (ORDER BY at DESC) AS total FROM page)
    SELECT ${columns}, (SELECT count(*)::int FROM page) AS found
      FROM jackfield.jobs JOIN sized ON seq = at WHERE total = bytes OR total <= $4 ORDER BY seq DESC`;
}

/** The statements, one per transition. */
export const statements = {
  insert: `INSERT INTO jackfield.jobs (id, tenant, source, conversation, run, state, open, record, token, held, due_at,
      created_at, changed_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::text, $9::text <> '',
      CASE WHEN $9::text = '' THEN t ELSE t + $10::bigint END, t, t FROM (SELECT jackfield.job_time() AS t) AS clock
    ON CONFLICT (id) DO NOTHING RETURNING seq`,
  get: `SELECT ${columns} FROM jackfield.jobs WHERE id = $1`,
  list: listing("true"),
  listDone: listing(`state = $5`),
  listOther: listing(`state <> ${JobState.DONE} AND state = $5`),
  claim: `WITH due AS (SELECT seq AS at FROM jackfield.jobs WHERE open AND due_at <= ${now} AND ($3::boolean OR NOT held)
        AND (deaths + held::int >= ${suspectDeaths}) = $5::boolean
      ORDER BY due_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE jackfield.jobs SET token = $1, held = true, deaths = deaths + held::int, due_at = ${now} + $4::bigint,
      changed_at = ${now}, state = CASE state WHEN ${JobState.ACCEPTED} THEN ${JobState.EXECUTING} ELSE state END
    FROM due WHERE seq = due.at RETURNING ${columns}`,
  extend: `UPDATE jackfield.jobs j SET due_at = ${now} + $3::bigint FROM unnest($1::text[], $2::text[]) AS l (id, token)
    WHERE j.id = l.id AND j.token = l.token AND j.held AND j.record <> '' RETURNING j.id`,
  write: `UPDATE jackfield.jobs SET state = $1, open = $2, held = $3, due_at = ${now} + $4::bigint, changed_at = ${now},
      record = coalesce($5, record), deaths = CASE WHEN $6::boolean THEN deaths ELSE 0 END
    WHERE id = $7 AND token = $8 AND held = $9 AND ($10::smallint IS NULL OR state = $10) AND record <> '' RETURNING 1`,
  release: `UPDATE jackfield.jobs SET held = false, due_at = ${now} WHERE held AND token = $1`,
  remove: "DELETE FROM jackfield.jobs WHERE id = $1 AND token = $2",
  counts: `SELECT (SELECT count(*) FROM (SELECT FROM jackfield.jobs WHERE open LIMIT ${countLimit}) AS o)::int AS open,
    (SELECT count(*) FROM (SELECT FROM jackfield.jobs WHERE state = ${JobState.DEAD} LIMIT ${countLimit}) AS d)::int AS dead,
    coalesce(${now} - (SELECT created_at FROM jackfield.jobs WHERE open ORDER BY seq LIMIT 1), 0) AS oldest`,
  eraseEnded: `WITH gone AS (DELETE FROM jackfield.jobs WHERE seq IN (SELECT seq FROM jackfield.jobs
      WHERE NOT open AND state <> ${JobState.DEAD} AND changed_at <= ${now} - $1::bigint LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING 1) SELECT count(*)::int AS count FROM gone`,
  eraseDead: `WITH gone AS (DELETE FROM jackfield.jobs WHERE seq IN (SELECT seq FROM jackfield.jobs
      WHERE state = ${JobState.DEAD} AND changed_at <= ${now} - $1::bigint LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING 1) SELECT count(*)::int AS count FROM gone`,
  eraseMatching: "SELECT jackfield.erase_jobs($1, $2, $3, $4) AS count",
  /** A write, which detects a server that is full or read-only. */
  probe: `INSERT INTO jackfield.job_probe VALUES (1, jackfield.job_time())
    ON CONFLICT (id) DO UPDATE SET at = excluded.at`,
};
