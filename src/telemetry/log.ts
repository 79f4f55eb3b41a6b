import { createRequire } from "node:module";
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type * as PinoPretty from "pino-pretty";
import { errorMessage } from "../errors.ts";
import { createLogDestination } from "./log-destination.ts";
import type { Redactor } from "./redact.ts";

/** Keys whose values no log line shows, at the top of its fields and two levels down. */
const secretKeys: ReadonlySet<string> = new Set([
  "apiKey",
  "api_key",
  "x-api-key",
  "authorization",
  "Authorization",
  "proxy-authorization",
  "clientSecret",
  "client_secret",
  "cookie",
  "set-cookie",
  "credentials",
  "key",
  "keys",
  "password",
  "secret",
  "token",
  "access_token",
  "accessToken",
  "webhookKey",
]);

/** Options of a log. */
export interface LogOptions {
  readonly level: string;
  /** For people at a terminal, instead of JSON lines. */
  readonly pretty: boolean;
  readonly redactor: Redactor;
  /** Where lines go. stdout when left out. */
  readonly destination?: DestinationStream | undefined;
}

/** A log, and the number of lines that it could not write. */
export interface Log {
  readonly log: Logger;
  readonly dropped: () => number;
  /** Writes the lines that wait, for a process that ends. */
  readonly flush: () => void;
}

/**
 * Creates the log: one JSON object a line. Text that callers sent cannot begin a line of its own, in either form. Logging
 * never throws: a line that cannot be made or written is dropped and counted.
 */
export function createLog({ level, pretty, redactor, destination }: LogOptions): Log {
  const out = createLogDestination(destination);
  const stream: DestinationStream = pretty ? prettyStream(out, destination === undefined) : out;
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => hideSecrets(fields, 2),
      },
      serializers: {
        err: (reason: unknown) => errorFields(reason, level),
        error: (reason: unknown) => (reason instanceof Error ? errorFields(reason, level) : reason),
      },
      hooks: {
        streamWrite: (line) => (pretty ? escapeControlChars(redactor.redact(line)) : redactor.redact(line)),
        logMethod(args, method) {
          try {
            method.apply(this, args);
          } catch {
            // Fields with a getter that throws, for example.
            out.drop();
          }
        },
      },
    },
    stream,
  );
  return { log, dropped: () => out.dropped, flush: () => out.flush() };
}

/** Lines for people. The library for it is loaded only where they are written. */
function prettyStream(out: DestinationStream, colorize: boolean): DestinationStream {
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as typeof PinoPretty;
  const format = prettyFactory({ colorize, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" });
  return { write: (line) => out.write(format(line)) };
}

/**
 * Returns the fields with the values of secret keys replaced, down to so many levels below. Copies only what it changes:
 * pino's own `redact` takes 45 µs a line with these keys, this takes less than one.
 */
function hideSecrets<T extends object>(fields: T, levels: number): T {
  let clean: Record<string, unknown> | undefined;
  for (const [key, value] of Object.entries(fields)) {
    let shown: unknown = value;
    if (secretKeys.has(key)) shown = value === undefined ? value : "[secret]";
    else if (levels > 0 && isTree(value)) shown = hideSecrets(value, levels - 1);
    if (shown === value) continue;
    clean ??= (Array.isArray(fields) ? [...fields] : { ...fields }) as Record<string, unknown>;
    clean[key] = shown;
  }
  return (clean ?? fields) as T;
}

/** Whether a value is written as an object or an array of its own fields: errors and what writes itself are not. */
function isTree(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Error) && !("toJSON" in value);
}

/** The fields of an error: no stack, unless the level is `debug` or `trace`. An error may have hostile getters. */
function errorFields(reason: unknown, level: string): unknown {
  try {
    if (!(reason instanceof Error)) return String(reason);
    const debugging = level === "debug" || level === "trace";
    return {
      type: reason.name,
      message: reason.message,
      ...("code" in reason && { code: reason.code }),
      ...(reason.cause !== undefined && {
        cause: reason.cause instanceof Error ? errorMessage(reason.cause) : typeof reason.cause,
      }),
      ...(debugging && { stack: reason.stack }),
    };
  } catch {
    return { message: errorMessage(reason) };
  }
}

/** Escapes control characters once more: the pretty form prints texts as they are, terminals obey them. */
function escapeControlChars(line: string): string {
  return line
    .replace(/\\\\|\\(?:[nrbf]|u00[0-9a-f]{2})/gi, (escape) => (escape === "\\\\" ? escape : `\\${escape}`))
    .replace(
      /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
      (sign) => `\\\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}
