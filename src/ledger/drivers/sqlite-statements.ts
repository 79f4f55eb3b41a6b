const columns = "key, digest, intent, state, result, created_at, ends_at, owner, attempt, lineage";

const inserted =
  "key, digest, intent, conversation, run, source, owner, attempt, lineage, is_write, timeout_ms, created_at, ends_at, acquired_at";

/**
 * Condition for changes: the entry runs under its owner's attempt, or it is UNCERTAIN (2), of the same run, and ?5 is
 * false.
 */
const mayEnd = "(state = 0 AND owner = ?2 AND abs(attempt) = ?3 OR state = 2 AND lineage = ?4 AND NOT ?5)";

/** Condition for a takeover: the entry belongs to another owner, and if it is a write, its run must have ended. */
const abandoned = (now: string): string => `state = 0 AND owner <> ?1 AND (is_write = 0 OR ends_at <= ${now})`;

const takenOver = (now: string, runs: string, margin: string): string =>
  `owner = ?1, attempt = ?2, acquired_at = ${now}, ends_at = ${now} + ${runs} * timeout_ms + ${margin}`;

/** The statements of the embedded ledger, by operation. */
export const sql = {
  insert: `INSERT INTO entries (${inserted}, state, keep)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)
    ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, intent = excluded.intent,
      conversation = excluded.conversation, run = excluded.run, source = excluded.source, owner = excluded.owner,
      attempt = excluded.attempt, lineage = excluded.lineage, is_write = excluded.is_write,
      timeout_ms = excluded.timeout_ms, created_at = excluded.created_at, ends_at = excluded.ends_at,
      acquired_at = excluded.acquired_at, state = 0, keep = 0, result = NULL, ended_at = NULL
    WHERE entries.state <> 0 AND entries.keep = 2`,
  adopt: `UPDATE entries SET ${takenOver("?5", "?6", "?7")} WHERE key = ?3 AND digest = ?4 AND ${abandoned("?5")}`,
  find: `SELECT ${columns} FROM entries WHERE key = ?`,
  finish: `UPDATE entries SET owner = ?2, attempt = ?3, state = ?6, keep = ?7, result = ?8,
    ended_at = ?9 WHERE key = ?1 AND ${mayEnd}`,
  drop: `DELETE FROM entries WHERE key = ?1 AND ${mayEnd}`,
  write: `INSERT INTO entries (${inserted}, state, keep, result, ended_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`,
  forget: "DELETE FROM entries WHERE state = 0 AND owner = ?1 AND attempt = ?2 AND (?3 IS NULL OR key = ?3)",
  disown: "UPDATE entries SET owner = '' WHERE state = 0 AND owner = ?1 AND attempt = -?2 AND (?3 IS NULL OR key = ?3)",
  restart: `UPDATE entries SET lineage = ?4, ends_at = ?5
    WHERE key = ?1 AND state = 0 AND owner = ?2 AND abs(attempt) = ?3`,
  running: "SELECT key, attempt FROM entries WHERE state = 0 AND owner = ?1 AND acquired_at <= ?2",
  recover: `UPDATE entries SET ${takenOver("?4", "?5", "?6")} WHERE rowid IN
      (SELECT rowid FROM entries WHERE ${abandoned("?4")} ORDER BY created_at LIMIT ?3)
    RETURNING ${columns}`,
  eraseConversation: `DELETE FROM entries
    WHERE state <> 0 AND conversation = ?1 AND (?2 = '' OR run = ?2) AND (?3 = '' OR source = ?3)`,
  eraseRun: "DELETE FROM entries WHERE state <> 0 AND run = ?1 AND (?2 = '' OR source = ?2)",
  // The states are literals, so that the partial indexes apply.
  eraseDone: `DELETE FROM entries WHERE rowid IN
    (SELECT rowid FROM entries WHERE state = 1 AND ended_at > ?1 AND ended_at <= ?2 LIMIT ?3)`,
  eraseUncertain: `DELETE FROM entries WHERE rowid IN
    (SELECT rowid FROM entries WHERE state = 2 AND ended_at > ?1 AND ended_at <= ?2 LIMIT ?3)`,
};
