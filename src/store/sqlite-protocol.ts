import type { ClockRecord } from "./boot-clock.ts";

/** A value that SQLite can store. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** One statement of a request. */
export interface Step {
  sql: string;
  params?: readonly SqlValue[];
  /** Ends the request here if the statement changed or found a row. */
  stop?: boolean;
}

/** The result of a statement: the number of changed rows, or the rows found. */
export type StepResult = number | SqlValue[][];

/** Message to the worker: statements that are new to it, by number, and requests that refer to them. */
export interface ToWorker {
  statements: [number: number, sql: string][];
  requests: [statement: number, params: readonly SqlValue[], stop: boolean][][];
  /** Finish pending requests, close the file, and exit. */
  close?: boolean;
}

/** The reply to one request: its results, or an error that concerns this request alone. */
export type Reply = StepResult[] | string;

/** Message from the worker. */
export type FromWorker =
  /** The file is open. `newest` is the newest time in its tables, `notices` are for the operator. */
  | { kind: "open"; newest: number; clock: ClockRecord | undefined; notices: readonly string[] }
  /** The file is unusable at present. `refused`: this process can never use it. */
  | { kind: "problem"; message: string; refused: boolean }
  /** A batch was committed: one reply per request. */
  | { kind: "replies"; replies: Reply[] }
  /** A batch was not committed. `untouched`: no part of it was written. */
  | { kind: "failed"; message: string; untouched: boolean };
