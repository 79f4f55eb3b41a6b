import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** Environment variables by name, as in `process.env`. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Reads variables, including their `NAME_FILE` variants, and collects problems. */
export interface Environment {
  /** Returns the variable's value; undefined if it is unset or empty. */
  get(name: string): string | undefined;
  /** Returns the variable's value, or the content of the file that `NAME_FILE` names, without its final line break. */
  secret(name: string): string | undefined;
  /** Adds a problem, as a whole sentence. */
  problem(sentence: string): void;
  /** The problems found so far. */
  readonly problems: readonly string[];
}

/** Creates the reader. Relative `NAME_FILE` paths are resolved against `cwd`; problems are added to the given list. */
export function createEnvironment(env: Env, cwd: string, problems: string[]): Environment {
  const reported = new Set<string>();
  const problem = (sentence: string): void => {
    if (reported.has(sentence)) return;
    reported.add(sentence);
    problems.push(sentence);
  };
  const get = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] || undefined : undefined);
  return {
    get,
    problem,
    problems,
    secret(name) {
      const plain = get(name);
      const path = get(`${name}_FILE`);
      if (path === undefined) return plain;
      if (plain !== undefined) {
        problem(`${name} and ${name}_FILE must not both be set; found both: keep one.`);
        return plain;
      }
      try {
        return readSecretFile(resolve(cwd, path)) || emptyFile(name, path, problem);
      } catch (reason) {
        problem(
          `${name}_FILE must name a file that can be read; found ${JSON.stringify(path)} (${fileErrorMessage(reason)}).`,
        );
        return undefined;
      }
    },
  };
}

/** Variables that a program needs and that cannot be secret. */
const isolatedNames =
  /^(?:PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TMP|TEMP|NODE_ENV|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR))$/;

/** Returns the environment variables for isolated tools. Their configuration arrives by message. */
export function isolatedEnvFrom(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([name]) => isolatedNames.test(name)));
}

/** Returns the content of a secret file, without its final line break. */
export function readSecretFile(path: string): string {
  return readFileSync(path, "utf8").replace(/\r?\n$/, "");
}

/** Describes briefly why a file could not be read. */
export function fileErrorMessage(reason: unknown): string {
  const code = reason instanceof Error && "code" in reason ? String(reason.code) : "";
  const messages: Record<string, string> = {
    ENOENT: "there is no such file",
    EACCES: "permission denied",
    EISDIR: "it is a folder",
    ENOTDIR: "a part of the path is not a folder",
  };
  return messages[code] ?? (code || "it cannot be read");
}

function emptyFile(name: string, path: string, problem: (sentence: string) => void): undefined {
  problem(`${name}_FILE must name a file that contains the secret; found ${JSON.stringify(path)}, which is empty.`);
  return undefined;
}
