import { createRequire } from "node:module";
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import type * as PinoPretty from "pino-pretty";
import type { Redactor } from "./redact.ts";

/** Keys whose values no log line shows, at the top and two levels down. */
const secretKeys = [
  "apiKey",
  "api_key",
  "authorization",
  "Authorization",
  "clientSecret",
  "client_secret",
  "cookie",
  "credentials",
  "key",
  "keys",
  "password",
  "secret",
  "token",
  "access_token",
  "accessToken",
  "webhookKey",
  '["x-api-key"]',
  '["x-cognigy-ai-api-key"]',
  '["set-cookie"]',
  '["proxy-authorization"]',
];

/** What a log is made with. */
export interface LogOptions {
  readonly level: string;
  /** For people at a terminal, instead of JSON lines. */
  readonly pretty: boolean;
  readonly redactor: Redactor;
  /** Where lines go; stdout when left out. */
  readonly destination?: DestinationStream | undefined;
}

/** Makes the log: one JSON object a line. What callers sent cannot begin a line of its own, in either form. */
export function createLog({ level, pretty, redactor, destination }: LogOptions): Logger {
  const out = destination ?? pino.destination({ dest: 1, sync: true });
  const stream = pretty ? forPeople(out, destination === undefined) : out;
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {
        err: (reason: unknown) => errorFields(reason, level),
        error: (reason: unknown) => (reason instanceof Error ? errorFields(reason, level) : reason),
      },
      redact: { paths: secretKeys.flatMap((key) => [key, join("*", key), join("*.*", key)]), censor: "[secret]" },
      hooks: { streamWrite: (line) => (pretty ? inert(redactor.redact(line)) : redactor.redact(line)) },
    },
    stream,
  );
}

/** Lines as people read them. The library for it is loaded only where somebody does. */
function forPeople(out: DestinationStream, colorize: boolean): DestinationStream {
  const { prettyFactory } = createRequire(import.meta.url)("pino-pretty") as typeof PinoPretty;
  const format = prettyFactory({ colorize, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" });
  return { write: (line) => out.write(format(line)) };
}

function join(path: string, key: string): string {
  return key.startsWith("[") ? `${path}${key}` : `${path}.${key}`;
}

/** What is told of a fault: no stack, unless somebody is debugging. */
function errorFields(reason: unknown, level: string): unknown {
  if (!(reason instanceof Error)) return String(reason);
  const debugging = level === "debug" || level === "trace";
  return {
    type: reason.name,
    message: reason.message,
    ...("code" in reason && { code: reason.code }),
    ...(reason.cause !== undefined && {
      cause: reason.cause instanceof Error ? reason.cause.message : typeof reason.cause,
    }),
    ...(debugging && { stack: reason.stack }),
  };
}

/** Escapes control characters once more: the pretty form prints texts as they are, terminals obey them. */
function inert(line: string): string {
  return line
    .replace(/\\\\|\\(?:[nrbf]|u00[0-9a-f]{2})/gi, (escape) => (escape === "\\\\" ? escape : `\\${escape}`))
    .replace(
      /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
      (sign) => `\\\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}
