import type { ClockRecord } from "./boot-clock.ts";

/** A value that SQLite stores. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** One statement of a request. */
export interface Step {
  sql: string;
  params?: readonly SqlValue[];
  /** The request ends here when the statement changed or found a row. */
  stop?: boolean;
}

/** The result of a statement: how many rows it changed, or the rows that it found. */
export type StepResult = number | SqlValue[][];

/** Message to the worker: statements it has not seen yet, by number, and requests that refer to them. */
export interface ToWorker {
  statements: [number: number, sql: string][];
  requests: [statement: number, params: readonly SqlValue[], stop: boolean][][];
  /** Finish, close the file, and end. */
  close?: boolean;
}

/** Answer to one request: its results, or the error that concerns it alone. */
export type Reply = StepResult[] | string;

/** Message from the worker. */
export type FromWorker =
  /** The file is open. `newest` is the newest time it knows, `notices` what an operator should know. */
  | { kind: "open"; newest: number; clock: ClockRecord | undefined; notices: readonly string[] }
  /** The file cannot be used now. `refused`: and never by this process. */
  | { kind: "problem"; message: string; refused: boolean }
  /** A batch was committed: one reply for each request. */
  | { kind: "replies"; replies: Reply[] }
  /** A batch was not committed. `untouched`: nor was any of it written. */
  | { kind: "failed"; message: string; untouched: boolean };
