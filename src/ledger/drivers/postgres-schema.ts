/** How long an owner is taken to live after its last heartbeat, in milliseconds. */
export const leaseMs = 2_500;

/**
 * Tables and functions of the ledger on PostgreSQL; may be applied again. Times are Unix milliseconds of the server's
 * clock. An entry is found by the SHA-256 of its key, as a key may be longer than an index takes.
 */
export const schema = `
CREATE SCHEMA IF NOT EXISTS jackfield;
CREATE TABLE IF NOT EXISTS jackfield.owners (owner text PRIMARY KEY, since bigint NOT NULL, seen bigint NOT NULL);
CREATE TABLE IF NOT EXISTS jackfield.entries (
  id bytea PRIMARY KEY, key text NOT NULL, digest text NOT NULL, intent text NOT NULL, conversation text NOT NULL,
  owner text NOT NULL, attempt bigint NOT NULL, state smallint NOT NULL, keep text NOT NULL DEFAULT '',
  result bytea, created_at bigint NOT NULL, ended_at bigint
);
CREATE INDEX IF NOT EXISTS entries_running ON jackfield.entries (owner, created_at) WHERE state = 0;
CREATE INDEX IF NOT EXISTS entries_ended ON jackfield.entries (ended_at) WHERE state <> 0;
CREATE INDEX IF NOT EXISTS entries_conversation ON jackfield.entries (md5(conversation)) WHERE conversation <> '';

CREATE OR REPLACE FUNCTION jackfield.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- A heartbeat. After an outage everybody's is late at once: who comes back begins anew, see dead.
CREATE OR REPLACE FUNCTION jackfield.beat(me text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE t bigint := jackfield.now_ms();
BEGIN
  INSERT INTO jackfield.owners AS o VALUES (me, t, t) ON CONFLICT (owner)
    DO UPDATE SET since = CASE WHEN t - o.seen > ${leaseMs} OR o.seen > t THEN t ELSE o.since END, seen = t;
  RETURN t;
END $$;

-- The owners who have missed their heartbeats, as seen by one who has not for long enough to judge.
CREATE OR REPLACE FUNCTION jackfield.dead(whom text, me text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT whom = '' OR (whom <> me
    AND EXISTS (SELECT FROM jackfield.owners WHERE owner = me AND jackfield.now_ms() - since >= ${leaseMs}
      AND jackfield.now_ms() - seen <= ${leaseMs})
    AND NOT EXISTS (SELECT FROM jackfield.owners WHERE owner = whom AND jackfield.now_ms() - seen <= ${leaseMs}))
$$;

CREATE OR REPLACE FUNCTION jackfield.begin_call(me text, latest bigint, no bigint, a_key text, a_digest text, an_intent text,
  a_conversation text, OUT told text, OUT e jackfield.entries) LANGUAGE plpgsql AS $$
DECLARE t bigint := jackfield.now_ms(); an_id bytea := sha256(convert_to(a_key, 'UTF8'));
BEGIN
  IF t > latest THEN told := 'late'; RETURN; END IF;
  INSERT INTO jackfield.owners VALUES (me, t, t) ON CONFLICT (owner) DO NOTHING;
  LOOP
    INSERT INTO jackfield.entries (id, key, digest, intent, conversation, owner, attempt, state, created_at)
      VALUES (an_id, a_key, a_digest, an_intent, a_conversation, me, no, 0, t) ON CONFLICT (id) DO NOTHING;
    IF FOUND THEN told := 'new'; RETURN; END IF;
    SELECT * INTO e FROM jackfield.entries WHERE id = an_id FOR UPDATE;
    EXIT WHEN FOUND;
  END LOOP;
  IF e.state <> 0 AND e.keep = 'show' THEN
    UPDATE jackfield.entries SET digest = a_digest, intent = an_intent, owner = me, attempt = no, state = 0, keep = '',
      result = NULL, created_at = t, ended_at = NULL WHERE id = an_id;
    told := 'new';
  ELSIF e.digest <> a_digest THEN told := 'conflict';
  ELSIF e.state <> 0 THEN told := 'ended';
  ELSIF jackfield.dead(e.owner, me) THEN
    UPDATE jackfield.entries SET owner = me, attempt = -no WHERE id = an_id;
    told := 'abandoned';
  ELSE told := 'running';
  END IF;
END $$;
`;

/** The statements, by what they do. */
export const statements = {
  beat: "SELECT jackfield.beat($1) AS time",
  begin: `SELECT told, (e).key, (e).digest, (e).intent, (e).state, (e).result, (e).created_at
    FROM jackfield.begin_call($1, $2, $3, $4, $5, $6, $7)`,
  finish: `UPDATE jackfield.entries SET state = $3, keep = $4, result = $5, ended_at = jackfield.now_ms()
    WHERE id = sha256(convert_to($2, 'UTF8')) AND owner = $1 AND state = 0`,
  drop: "DELETE FROM jackfield.entries WHERE id = sha256(convert_to($2, 'UTF8')) AND owner = $1 AND state = 0",
  giveBack: `WITH gone AS (DELETE FROM jackfield.entries
      WHERE state = 0 AND owner = $1 AND attempt = $2::bigint AND ($3::text IS NULL OR key = $3))
    UPDATE jackfield.entries SET owner = ''
      WHERE state = 0 AND owner = $1 AND attempt = -$2::bigint AND ($3::text IS NULL OR key = $3)`,
  takeOver: `WITH late AS (SELECT jackfield.now_ms() > $3::bigint AS late), abandoned AS (
      SELECT id FROM jackfield.entries WHERE state = 0 AND owner IN (
        SELECT DISTINCT owner FROM jackfield.entries WHERE state = 0 AND owner <> $1)
      AND jackfield.dead(owner, $1) AND NOT (SELECT late FROM late)
      ORDER BY created_at LIMIT $4 FOR UPDATE SKIP LOCKED)
    UPDATE jackfield.entries SET owner = $1, attempt = -$2::bigint WHERE id IN (SELECT id FROM abandoned)
    RETURNING key, digest, intent, state, result, created_at`,
  find: `SELECT key, digest, intent, state, result, created_at FROM jackfield.entries
    WHERE id = sha256(convert_to($1, 'UTF8'))`,
  eraseConversation: `WITH gone AS (DELETE FROM jackfield.entries
      WHERE state <> 0 AND md5(conversation) = md5($1) AND conversation = $1 RETURNING 1)
    SELECT count(*) AS count FROM gone`,
  eraseOld: `WITH gone AS (DELETE FROM jackfield.entries WHERE id IN (SELECT id FROM jackfield.entries
      WHERE state <> 0 AND ended_at <= jackfield.now_ms() - $1::bigint LIMIT 2000 FOR UPDATE SKIP LOCKED) RETURNING 1)
    SELECT count(*) AS count FROM gone`,
  forgetOwners: `DELETE FROM jackfield.owners o WHERE jackfield.now_ms() - seen > 60000
    AND NOT EXISTS (SELECT FROM jackfield.entries e WHERE e.state = 0 AND e.owner = o.owner)`,
  leave: "DELETE FROM jackfield.owners WHERE owner = $1",
};
