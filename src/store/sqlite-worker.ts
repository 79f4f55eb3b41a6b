// The thread that owns the database file. It commits each batch of requests as one transaction.
import type { StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { describe, StoreFileError, openSqliteFile, resultCode } from "./sqlite-file.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import type { FromWorker, Reply, StepResult, ToWorker } from "./sqlite-protocol.ts";

const folder = String((workerData as { folder: string }).folder);
const port = parentPort;
if (port === null) throw new Error("sqlite-worker runs as a worker thread only");

/** Pause between two attempts to reopen the file, in milliseconds. */
const reopenMs = 500;

let file: SqliteFile | undefined;
let problem = "the store is opening";
/** The folder's files are no longer the open ones. */
let detached = false;
const texts = new Map<number, string>();
const prepared = new Map<number, { statement: StatementSync; returnsRows: boolean }>();

function send(answer: FromWorker): void {
  port?.postMessage(answer);
}

function open(): void {
  try {
    file = openSqliteFile(folder);
    const { newest, clock, notices } = file;
    send({ kind: "open", newest, clock, notices });
  } catch (cause) {
    const refused = cause instanceof StoreFileError && cause.refused;
    problem = cause instanceof Error ? cause.message : String(cause);
    send({ kind: "problem", message: problem, refused });
    if (!refused) setTimeout(open, reopenMs).unref();
  }
}

/** Closes the file after a problem, and reopens it later, when the cause may be gone. */
function reopenLater(cause: unknown): void {
  problem = describe(cause, folder);
  prepared.clear();
  file?.close();
  file = undefined;
  send({ kind: "problem", message: problem, refused: false });
  setTimeout(open, reopenMs).unref();
}

function statementOf(id: number, database: SqliteFile["database"]): { statement: StatementSync; returnsRows: boolean } {
  const known = prepared.get(id);
  if (known !== undefined) return known;
  const statement = database.prepare(texts.get(id) ?? "");
  statement.setReturnArrays(true);
  const fresh = { statement, returnsRows: statement.columns().length > 0 };
  prepared.set(id, fresh);
  return fresh;
}

/** Reports whether an error is a problem of disk, file or lock, which concerns the whole batch. */
function isEnvironment(cause: unknown): boolean {
  return [5, 6, 7, 8, 10, 11, 13, 14, 26].includes(resultCode(cause) & 0xff);
}

/**
 * Runs the steps of a request, all or none. A step with `stop` that did not end the request has changed nothing, and a
 * failing last step undoes itself. Most requests consist of such steps alone and need no savepoint.
 */
function runRequest(request: ToWorker["requests"][number], database: SqliteFile["database"]): Reply {
  let saved = false;
  try {
    const results: StepResult[] = [];
    for (const [index, [id, params, stop]] of request.entries()) {
      if (!saved && !stop && index < request.length - 1) {
        database.exec("SAVEPOINT request");
        saved = true;
      }
      const { statement, returnsRows } = statementOf(id, database);
      const result = returnsRows
        ? (statement.all(...(params as [])) as unknown as StepResult)
        : Number(statement.run(...(params as [])).changes);
      results.push(result);
      if (stop && (typeof result === "number" ? result : result.length) > 0) break;
    }
    if (saved) database.exec("RELEASE request");
    return results;
  } catch (cause) {
    if (isEnvironment(cause) || !database.isTransaction) throw cause;
    if (saved) database.exec("ROLLBACK TO request; RELEASE request");
    return cause instanceof Error ? cause.message : String(cause);
  }
}

function commit(requests: ToWorker["requests"]): FromWorker {
  if (file === undefined) return { kind: "failed", message: problem, untouched: true };
  const { database } = file;
  const missing = file.missing();
  if (missing !== undefined) {
    // Writes would be lost with this process, and another process may already use the folder.
    if (!detached) send({ kind: "problem", message: missing, refused: false });
    detached = true;
    return { kind: "failed", message: missing, untouched: true };
  }
  if (detached) send({ kind: "open", newest: file.newest, clock: undefined, notices: [] });
  detached = false;
  try {
    database.exec("BEGIN");
    const replies = requests.map((request) => runRequest(request, database));
    database.exec("COMMIT");
    return { kind: "replies", replies };
  } catch (cause) {
    const code = resultCode(cause) & 0xff;
    const problem = describe(cause, folder);
    try {
      if (database.isTransaction) database.exec("ROLLBACK");
      // A full disk (13) or a foreign lock (5, 6) requires no reopening: the next batch tries again.
      if (code !== 13 && code !== 5 && code !== 6) reopenLater(cause);
    } catch (again) {
      reopenLater(again);
    }
    return { kind: "failed", message: problem, untouched: false };
  }
}

port.on("message", ({ statements, requests, close }: ToWorker) => {
  for (const [id, sql] of statements) texts.set(id, sql);
  if (requests.length > 0) send(commit(requests));
  if (close !== true) return;
  file?.close();
  port.close();
});
open();
