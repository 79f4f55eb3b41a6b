import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { freePort } from "./free-port.ts";
import { scratchFolder } from "./scratch-folder.ts";

/** A PostgreSQL server for one test. */
export interface PostgresServer {
  readonly url: string;
  /** Stops it at once, without a checkpoint. */
  kill(): Promise<void>;
  /** Starts it again with its data on disk. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const binaries = globSync("/usr/lib/postgresql/*/bin").toSorted().at(-1);

/**
 * The reason why PostgreSQL is not available; undefined if it is. With JACKFIELD_TEST_ALL=1 its lack is a failure, not a
 * reason to skip.
 */
export function postgresMissing(): string | undefined {
  if (binaries !== undefined && existsSync(join(binaries, "initdb"))) return undefined;
  if (process.env["JACKFIELD_TEST_ALL"] === "1")
    throw new Error("PostgreSQL is needed: install the package postgresql");
  return "PostgreSQL is not installed";
}

/** Certificate and key of a server, as paths, and the authority of client certificates. */
export interface PostgresTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
}

/**
 * Starts a PostgreSQL server on a free port. It refuses to run as root: then the user `postgres` runs it. With certificates
 * it offers TLS.
 */
export async function startPostgres({ tls }: { readonly tls?: PostgresTls } = {}): Promise<PostgresServer> {
  const folder = scratchFolder("jackfield-postgres");
  const data = join(folder.path, "data");
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const identity = process.getuid?.() === 0 ? { uid: idOf("-u"), gid: idOf("-g") } : undefined;
  if (identity !== undefined) chownSync(folder.path, identity.uid, identity.gid);
  const binary = (name: string): string => join(binaries ?? "", name);
  execFileSync(binary("initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], {
    stdio: "ignore",
    cwd: folder.path,
    ...identity,
  });
  const tlsSettings = tls === undefined ? [] : ["-c", "ssl=on"];
  for (const [setting, path] of Object.entries({
    ssl_cert_file: tls?.cert,
    ssl_key_file: tls?.key,
    ssl_ca_file: tls?.clientCa,
  })) {
    if (path === undefined) continue;
    // It reads only keys that belong to it and that others cannot read.
    const own = join(folder.path, setting);
    writeFileSync(own, readFileSync(path), { mode: 0o600 });
    if (identity !== undefined) chownSync(own, identity.uid, identity.gid);
    tlsSettings.push("-c", `${setting}=${own}`);
  }
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const settings = ["-c", "listen_addresses=127.0.0.1", "-c", `unix_socket_directories=${folder.path}`];
    child = spawn(binary("postgres"), ["-D", data, "-p", String(port), ...settings, ...tlsSettings], {
      stdio: "ignore",
      cwd: folder.path,
      ...identity,
    });
    for (;;) {
      const client = new Client({ connectionString: url });
      try {
        await client.connect();
        await client.query("SELECT 1");
        return;
      } catch (cause) {
        if (child.exitCode !== null) throw new Error("PostgreSQL does not start", { cause });
        await new Promise((resolve) => setTimeout(resolve, 50));
      } finally {
        await client.end().catch(() => {});
      }
    }
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    // PostgreSQL's immediate shutdown: the next start recovers from the log, as after a crash.
    child.kill("SIGQUIT");
    await ended;
  }

  await start();
  return {
    url,
    kill,
    start,
    close: async () => {
      await kill();
      folder[Symbol.dispose]();
    },
  };
}

function idOf(kind: "-u" | "-g"): number {
  return Number(execFileSync("id", [kind, "postgres"], { encoding: "utf8" }));
}
