import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { createJackfieldClient, type JackfieldClient } from "../client.ts";
import type { CliHost } from "./cli-host.ts";
import { CliError, exit } from "./exit.ts";
import { printable } from "./printable.ts";

/** The context of one command: options, output and the service's client. */
export interface Session {
  readonly host: CliHost;
  /** Print JSON for scripts. */
  readonly json: boolean;
  /** The address from `--url`. */
  readonly givenUrl: string | undefined;
  readonly key: string | undefined;
  readonly client: JackfieldClient;
  /** Whether `--url` was given. */
  readonly hasUrl: boolean;
  /** Writes a line to stdout. */
  print(line: string): void;
  /** Writes a line to stderr: progress and notes, which scripts do not parse. */
  note(line: string): void;
  /** Writes a message as JSON on one line to stdout. */
  printJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void;
  /** Runs a request to the service, and converts its errors to sentences. */
  request<T>(run: (client: JackfieldClient) => Promise<T>): Promise<T>;
  /** Sets the exit code of a command that has printed everything itself. */
  finish(code: number): void;
}

/** Adds a command to the program. */
export type AddCommand = (program: Command, open: (command: Command) => Session) => void;

/** Creates a command's context from its options. */
export function openSession(host: CliHost, command: Command, finish: (code: number) => void): Session {
  const { url: given, key, json = false } = command.optsWithGlobals<{ url?: string; key?: string; json?: boolean }>();
  const url = given ?? `http://127.0.0.1:${host.env["PORT"] || "8080"}`;
  let client: JackfieldClient | undefined;
  const connect = (): JackfieldClient => {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      throw new CliError(
        `--url must be an http or https address such as http://127.0.0.1:8080; found ${JSON.stringify(url)}.`,
      );
    }
    return (client ??= createJackfieldClient({ baseUrl: url, apiKey: keyFrom(key || host.env["JACKFIELD_API_KEY"]) }));
  };
  return {
    host,
    json,
    givenUrl: given,
    get key() {
      return keyFrom(key || host.env["JACKFIELD_API_KEY"]);
    },
    hasUrl: given !== undefined,
    get client() {
      return connect();
    },
    print: (line) => void host.stdout.write(`${host.stdout.isTTY ? printable(line) : line}\n`),
    note: (line) => void host.stderr.write(`${printable(line)}\n`),
    printJson: (schema, message) => void host.stdout.write(`${JSON.stringify(toJson(schema, message))}\n`),
    async request(run) {
      try {
        return await run(connect());
      } catch (reason) {
        throw reason instanceof ConnectError ? problemFrom(reason, url) : reason;
      }
    },
    finish,
  };
}

/** Returns the key without spaces around it. Throws a CliError, without the key, if no header can carry it. */
function keyFrom(given: string | undefined): string | undefined {
  const key = given?.trim();
  if (!key) return undefined;
  if (/^[\x20-\x7e]+$/.test(key)) return key;
  throw new CliError(
    "The key must consist of printable ASCII characters; found others. It comes from --key or JACKFIELD_API_KEY.",
  );
}

/** Codes by which the service reports a problem of the request, not of the service. */
const wrongUse: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.Unimplemented,
]);

function problemFrom(error: ConnectError, url: string): CliError {
  const { code, rawMessage, cause } = error;
  const said = sentence(rawMessage);
  if (
    cause instanceof Error &&
    "code" in cause &&
    (code === Code.Unavailable || code === Code.Internal || code === Code.Aborted)
  ) {
    return new CliError(
      `Jackfield cannot be reached at ${url} (${String(cause.code)}). Start it with \`jackfield serve\`, or name another address with --url.`,
      exit.unreachable,
    );
  }
  if (code === Code.Unavailable) return new CliError(said, exit.unreachable);
  if (code === Code.Unauthenticated) return new CliError(`${said} Give the key with --key or in JACKFIELD_API_KEY.`);
  if (code === Code.Unimplemented) return new CliError(`${url} does not offer this: ${said}`);
  return new CliError(said, wrongUse.has(code) ? exit.wrongUse : exit.notOk);
}

function sentence(text: string): string {
  const line = printable(text.replace(/\s+/g, " ").trim()) || "The service gave no reason.";
  return line[0]!.toUpperCase() + line.slice(1) + (/[.!?]$/.test(line) ? "" : ".");
}
