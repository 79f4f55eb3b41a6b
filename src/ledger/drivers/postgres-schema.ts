import { endMarginMs, takeoverRuns } from "../ledger-store.ts";
import { erasureMs } from "./erasures.ts";
import { beatMs } from "./heartbeat.ts";

/** Maximum number of ended entries that one statement deletes. */
export const eraseBatch = 2_000;

/**
 * Tables and functions of the ledger on PostgreSQL. Idempotent. Times are Unix milliseconds of the server's clock. An
 * entry is looked up by the SHA-256 of its key, because a key may exceed the size limit of an index.
 */
export const schema = `
CREATE SCHEMA IF NOT EXISTS jackfield;
CREATE TABLE IF NOT EXISTS jackfield.owners (owner text PRIMARY KEY, since bigint NOT NULL, seen bigint NOT NULL);
ALTER TABLE jackfield.owners ADD COLUMN IF NOT EXISTS beats bigint NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS jackfield.entries (
  id bytea PRIMARY KEY, key text NOT NULL, digest text NOT NULL, intent text NOT NULL, conversation text NOT NULL,
  owner text NOT NULL, attempt bigint NOT NULL, state smallint NOT NULL, keep text NOT NULL DEFAULT '',
  result bytea, created_at bigint NOT NULL, ended_at bigint
);
ALTER TABLE jackfield.entries
  ADD COLUMN IF NOT EXISTS run text NOT NULL DEFAULT '', ADD COLUMN IF NOT EXISTS source text NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS lineage text NOT NULL DEFAULT '', ADD COLUMN IF NOT EXISTS is_write boolean NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS timeout_ms bigint NOT NULL DEFAULT 0, ADD COLUMN IF NOT EXISTS ends_at bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS acquired_at bigint NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS jackfield.erasures (id text PRIMARY KEY, selector text NOT NULL, at bigint NOT NULL);
CREATE INDEX IF NOT EXISTS entries_running ON jackfield.entries (owner, created_at) WHERE state = 0;
DROP INDEX IF EXISTS jackfield.entries_ended;
CREATE INDEX IF NOT EXISTS entries_done ON jackfield.entries (ended_at) WHERE state = 1;
CREATE INDEX IF NOT EXISTS entries_uncertain ON jackfield.entries (ended_at) WHERE state = 2;
CREATE INDEX IF NOT EXISTS entries_conversation ON jackfield.entries (md5(conversation)) WHERE conversation <> '';
CREATE INDEX IF NOT EXISTS entries_run ON jackfield.entries (md5(run)) WHERE run <> '';

CREATE OR REPLACE FUNCTION jackfield.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- A heartbeat is a number that grows. Whether an owner lives is judged by others, who watch it; \`seen\` only tells when.
CREATE OR REPLACE FUNCTION jackfield.count_beat(me text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO jackfield.owners AS o (owner, since, seen, beats) VALUES (me, jackfield.now_ms(), jackfield.now_ms(), 1)
    ON CONFLICT (owner) DO UPDATE SET beats = o.beats + 1, seen = excluded.seen
$$;

-- True for an owner that has left, and for one whose number is still the one that the asker calls dead.
CREATE OR REPLACE FUNCTION jackfield.is_dead(whom text, dead text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT whom = '' OR NOT EXISTS (SELECT FROM jackfield.owners o
    WHERE o.owner = whom AND NOT (o.owner || ':' || o.beats = ANY (dead)))
$$;

-- Two requests for one key wait for each other, also where the first is still committing and its row cannot be seen yet.
CREATE OR REPLACE FUNCTION jackfield.lock_key(a_key text) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE an_id bytea := sha256(convert_to(a_key, 'UTF8'));
BEGIN
  PERFORM pg_advisory_xact_lock(('x' || encode(substring(an_id FROM 1 FOR 8), 'hex'))::bit(64)::bigint);
  RETURN an_id;
END $$;

CREATE OR REPLACE FUNCTION jackfield.begin_call(me text, latest bigint, no bigint, a_key text, a_digest text, an_intent text,
  a_conversation text, a_run text, a_source text, writes boolean, timeout bigint, dead text[], OUT told text, OUT e jackfield.entries)
LANGUAGE plpgsql AS $$
DECLARE t bigint; an_id bytea;
BEGIN
  -- Most repeats change nothing and need not wait for each other.
  SELECT * INTO e FROM jackfield.entries WHERE id = sha256(convert_to(a_key, 'UTF8'));
  IF FOUND AND (e.state = 0 OR e.keep <> 'show') THEN
    told := CASE WHEN e.digest <> a_digest THEN 'conflict' WHEN e.state <> 0 THEN 'ended'
      WHEN e.owner = me OR NOT jackfield.is_dead(e.owner, dead) THEN 'running' END;
    IF told IS NOT NULL THEN RETURN; END IF;
  END IF;
  an_id := jackfield.lock_key(a_key);
  t := jackfield.now_ms();
  -- A new intent is a sign of life. Only where the last one is old: the row's lock would make intents wait for each other.
  IF NOT EXISTS (SELECT FROM jackfield.owners WHERE owner = me AND t - seen BETWEEN 0 AND ${beatMs}) THEN
    PERFORM jackfield.count_beat(me);
  END IF;
  IF t > latest THEN told := 'late'; RETURN; END IF;
  SELECT * INTO e FROM jackfield.entries WHERE id = an_id FOR UPDATE;
  IF NOT FOUND OR (e.state <> 0 AND e.keep = 'show') THEN
    DELETE FROM jackfield.entries WHERE id = an_id;
    INSERT INTO jackfield.entries (id, key, digest, intent, conversation, run, source, owner, attempt, lineage, is_write,
        timeout_ms, created_at, ends_at, acquired_at, state)
      VALUES (an_id, a_key, a_digest, an_intent, a_conversation, a_run, a_source, me, no, me || ':' || no, writes,
        timeout, t, t + timeout + ${endMarginMs}, t, 0);
    told := 'new';
  ELSIF e.digest <> a_digest THEN told := 'conflict';
  ELSIF e.state <> 0 THEN told := 'ended';
  ELSIF e.owner <> me AND jackfield.is_dead(e.owner, dead) AND (NOT e.is_write OR e.ends_at <= t) THEN
    UPDATE jackfield.entries SET owner = me, attempt = -no, acquired_at = t,
      ends_at = t + ${takeoverRuns} * timeout_ms + ${endMarginMs} WHERE id = an_id RETURNING * INTO e;
    told := 'abandoned';
  ELSE told := 'running';
  END IF;
END $$;

-- Ends a call: by its owner's attempt while it runs, by its run once it is UNCERTAIN (2) unless the new state is that too.
CREATE OR REPLACE FUNCTION jackfield.finish_call(me text, a_key text, no bigint, a_lineage text, a_state smallint, a_keep text,
  a_result bytea, OUT told text, OUT e jackfield.entries) LANGUAGE plpgsql AS $$
DECLARE an_id bytea := jackfield.lock_key(a_key); held boolean;
BEGIN
  SELECT * INTO e FROM jackfield.entries WHERE id = an_id FOR UPDATE;
  IF NOT FOUND THEN told := 'gone'; RETURN; END IF;
  held := e.owner = me AND abs(e.attempt) = no;
  IF (e.state = 0 AND held) OR (e.state = 2 AND e.lineage = a_lineage AND a_state <> 2) THEN
    IF a_keep = 'drop' THEN DELETE FROM jackfield.entries WHERE id = an_id;
    ELSE UPDATE jackfield.entries SET owner = me, attempt = no, state = a_state, keep = a_keep, result = a_result, ended_at = jackfield.now_ms()
      WHERE id = an_id;
    END IF;
    told := 'stored';
  ELSE told := CASE WHEN held THEN 'stored' ELSE 'superseded' END;
  END IF;
END $$;
`;

const columns = (row: string): string =>
  ["key", "digest", "intent", "state", "result", "created_at", "ends_at", "owner", "attempt", "lineage"]
    .map((column) => `${row}${column}`)
    .join(", ");

const id = (parameter: string): string => `sha256(convert_to(${parameter}, 'UTF8'))`;

/** The statements, by operation. */
export const statements = {
  beat: `WITH beaten AS (SELECT jackfield.count_beat($1))
    SELECT time, owner, beats FROM (SELECT jackfield.now_ms() AS time FROM beaten) t LEFT JOIN jackfield.owners ON true`,
  begin: `SELECT told, ${columns("(e).")} FROM jackfield.begin_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
  finish: `SELECT told, ${columns("(e).")} FROM jackfield.finish_call($1, $2, $3, $4, $5::smallint, $6, $7)`,
  write: `WITH written AS (INSERT INTO jackfield.entries (id, key, digest, intent, conversation, run, source, owner, attempt,
      lineage, is_write, timeout_ms, created_at, ends_at, acquired_at, state, keep, result, ended_at)
    SELECT jackfield.lock_key($1), $1, $2, $3, $4, $5, $6, $7, $8::bigint, $9, $10::boolean, $11::bigint, t, t, t,
      $12::smallint, $13, $14::bytea, t FROM jackfield.now_ms() t ON CONFLICT (id) DO NOTHING RETURNING 1)
    SELECT ${columns("e.")} FROM jackfield.entries e WHERE id = ${id("$1")} AND NOT EXISTS (SELECT FROM written)`,
  release: `WITH locked AS (SELECT CASE WHEN $3::text IS NULL THEN NULL ELSE jackfield.lock_key($3) END AS id),
    released AS (DELETE FROM jackfield.entries USING locked
      WHERE state = 0 AND owner = $1 AND attempt = $2::bigint AND ($3::text IS NULL OR entries.id = locked.id))
    UPDATE jackfield.entries SET owner = '' FROM locked
      WHERE state = 0 AND owner = $1 AND attempt = -$2::bigint AND ($3::text IS NULL OR entries.id = locked.id)`,
  restart: `UPDATE jackfield.entries SET lineage = $1 || ':' || $3, ends_at = jackfield.now_ms() + $4::bigint + ${endMarginMs}
    WHERE id = ${id("$2")} AND state = 0 AND owner = $1 AND abs(attempt) = $3::bigint RETURNING lineage`,
  running: `SELECT key, attempt FROM jackfield.entries
    WHERE state = 0 AND owner = $1 AND acquired_at <= jackfield.now_ms() - $2::bigint`,
  recover: `WITH late AS (SELECT jackfield.now_ms() > $3::bigint AS late), abandoned AS (
      SELECT id FROM jackfield.entries WHERE state = 0 AND owner IN (
        SELECT DISTINCT owner FROM jackfield.entries WHERE state = 0 AND owner <> $1)
      AND jackfield.is_dead(owner, $5) AND (NOT is_write OR ends_at <= jackfield.now_ms()) AND NOT (SELECT late FROM late)
      ORDER BY created_at LIMIT $4 FOR UPDATE SKIP LOCKED)
    UPDATE jackfield.entries SET owner = $1, attempt = -$2::bigint, acquired_at = jackfield.now_ms(),
      ends_at = jackfield.now_ms() + ${takeoverRuns} * timeout_ms + ${endMarginMs}
    WHERE id IN (SELECT id FROM abandoned) RETURNING ${columns("")}`,
  find: `SELECT ${columns("")} FROM jackfield.entries WHERE id = ${id("$1")}`,
  erasures: `SELECT id, selector FROM jackfield.erasures WHERE at > jackfield.now_ms() - ${erasureMs}`,
  announceErasure: `WITH old AS (DELETE FROM jackfield.erasures WHERE at <= jackfield.now_ms() - ${erasureMs})
    INSERT INTO jackfield.erasures VALUES ($1, $2, jackfield.now_ms())`,
  eraseConversation: `WITH gone AS (DELETE FROM jackfield.entries WHERE state <> 0 AND md5(conversation) = md5($1)
      AND conversation = $1 AND ($2 = '' OR run = $2) AND ($3 = '' OR source = $3) RETURNING 1)
    SELECT count(*) AS count FROM gone`,
  eraseRun: `WITH gone AS (DELETE FROM jackfield.entries WHERE state <> 0 AND md5(run) = md5($1)
      AND run = $1 AND ($2 = '' OR source = $2) RETURNING 1)
    SELECT count(*) AS count FROM gone`,
  eraseDone: eraseOld(1),
  eraseUncertain: eraseOld(2),
  forgetOwners: `DELETE FROM jackfield.owners o WHERE jackfield.now_ms() - seen > 60000
    AND NOT EXISTS (SELECT FROM jackfield.entries e WHERE e.state = 0 AND e.owner = o.owner)`,
  leave: "DELETE FROM jackfield.owners WHERE owner = $1",
};

function eraseOld(state: number): string {
  return `WITH gone AS (DELETE FROM jackfield.entries WHERE id IN (SELECT id FROM jackfield.entries
      WHERE state = ${state} AND ended_at <= jackfield.now_ms() - $1::bigint - $2::bigint
      LIMIT ${eraseBatch} FOR UPDATE SKIP LOCKED) RETURNING 1)
    SELECT count(*) AS count FROM gone`;
}
