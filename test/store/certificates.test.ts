import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { watchPeerTls } from "../../src/config/peer-tls.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { createAuthority, opensslMissing as missing } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const folder = scratchFolder();
const file = (name: string): string => join(folder.path, name);

beforeAll(() => {
  if (missing === "") createAuthority(folder.path);
});
afterAll(() => folder[Symbol.dispose]());

/** Certificates with the wrong authority, until `correct` is called. */
function changing() {
  const files = { ca: file("changing.crt"), cert: file("client.crt"), key: file("client.key") };
  copyFileSync(file("stranger.crt"), files.ca);
  const live = watchPeerTls(files, { log: { info() {}, error() {} }, reloadMs: 20 });
  onTestFinished(() => live.close());
  return { tls: live.tls, correct: () => copyFileSync(file("authority.crt"), files.ca) };
}

describe.skipIf(missing !== "")(`certificates that change are used for new connections${missing}`, () => {
  test.skipIf(redisMissing() !== undefined)("to Redis", async () => {
    const port = await freePort();
    const files = ["--tls-cert-file", file("server.crt"), "--tls-key-file", file("server.key")];
    const authority = ["--tls-ca-cert-file", file("authority.crt")];
    const server = await startRedis(["--appendonly", "yes", "--tls-port", String(port), ...files, ...authority]);
    onTestFinished(() => server.close());
    const { tls, correct } = changing();
    const store = await openRedisStore({ url: `rediss://127.0.0.1:${port}`, tls });
    onTestFinished(() => store.close());
    expect(store.problem()).toContain("not trusted");
    correct();
    await expect.poll(() => store.problem(), { timeout: 10_000 }).toBeUndefined();
  });

  test.skipIf(postgresMissing() !== undefined)("to PostgreSQL", async () => {
    const server = await startPostgres({
      tls: { cert: file("server.crt"), key: file("server.key"), clientCa: file("authority.crt") },
    });
    onTestFinished(() => server.close());
    const { tls, correct } = changing();
    const store = await openPostgresStore({ url: server.url, tls });
    onTestFinished(() => store.close());
    expect(store.problem()).toContain("not trusted");
    correct();
    await expect.poll(() => store.problem(), { timeout: 10_000 }).toBeUndefined();
    expect(await store.query("SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).toEqual([
      { ssl: true, client_dn: "/CN=client" },
    ]);
  });
});
