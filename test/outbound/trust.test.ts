import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTrust } from "../../src/outbound/trust.ts";
import { createAuthority, opensslMissing as missing } from "../support/certificates.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { deadPort, rejection, scope, startOutbound } from "./downstream.ts";

const folder = scratchFolder();
const log = { info() {}, error() {} };
const file = (name: string): string => join(folder.path, name);

beforeAll(() => {
  if (missing === "") createAuthority(folder.path);
});
afterAll(() => folder[Symbol.dispose]());

/** Starts a downstream with a certificate of our own authority. It answers with the name in the client's certificate. */
async function startSecure(): Promise<string> {
  const server = createServer(
    {
      cert: readFileSync(file("server.crt")),
      key: readFileSync(file("server.key")),
      ca: readFileSync(file("authority.crt")),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const name = (request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? null;
      response.end(JSON.stringify(name));
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.skipIf(missing !== "")(`connections over TLS${missing}`, () => {
  const own = () => file("authority.crt");
  const withClient = () => ({ ca: own(), cert: file("client.crt"), key: file("client.key") });

  async function ask(origin: string, trust: Parameters<typeof createTrust>[0], problems: unknown[] = []) {
    const watched = createTrust(trust, { log });
    onTestFinished(() => watched.close());
    await using outbound = startOutbound({
      trust: watched,
      onTlsProblem: (at, problem) => problems.push([at, problem]),
    });
    const http = outbound.httpFor(scope({ origins: [origin], retry: { retries: 0 } }));
    return [(await http(origin)).json(), (await http(origin)).json()];
  }

  test("trust a configured authority in addition to Node's, for every origin", async () => {
    const origin = await startSecure();
    expect(await ask(origin, { ca: own(), origins: {} })).toEqual([null, null]);
  });

  test("present the client certificate of their origin, and no other", async () => {
    const origin = await startSecure();
    const other = await startSecure();
    const origins = { [origin]: withClient() };
    expect(await ask(origin, { ca: undefined, origins })).toEqual(["client", "client"]);
    expect(await ask(other, { ca: own(), origins })).toEqual([null, null]);
  });

  test("to an origin that is not configured for the request trust its authority, and present no client certificate", async () => {
    const origin = await startSecure();
    const trust = createTrust({ ca: undefined, origins: { [origin]: withClient() } }, { log });
    onTestFinished(() => trust.close());
    await using outbound = startOutbound({ trust, privateAddresses: ["127.0.0.1"] });
    const certificateOf = async (origins: string[]) => (await outbound.httpFor(scope({ origins }))(origin)).json();
    expect(await certificateOf([origin])).toBe("client");
    expect(await certificateOf([])).toBeNull();
  });

  test("to an origin with a certificate but no authority trust the usual ones and ours", async () => {
    const origin = await startSecure();
    const { ca: _, ...pair } = withClient();
    expect(await ask(origin, { ca: own(), origins: { [origin]: pair } })).toEqual(["client", "client"]);
    await rejection(ask(origin, { ca: undefined, origins: { [origin]: pair } }));
  });

  test("change with their files, and keep the old state if a file is unusable", async () => {
    const origin = await startSecure();
    const ca = file("changing.crt");
    copyFileSync(file("stranger.crt"), ca);
    const errors: unknown[] = [];
    const trust = createTrust(
      { ca: undefined, origins: { [origin]: { ca } } },
      { log: { ...log, error: (line: unknown) => void errors.push(line) }, reloadMs: 20 },
    );
    onTestFinished(() => trust.close());
    await using outbound = startOutbound({ trust });
    const http = outbound.httpFor(scope({ origins: [origin], retry: { retries: 0 } }));
    const ask = async () => (await http(origin)).json();
    await rejection(ask());
    copyFileSync(own(), ca);
    await expect.poll(() => ask().catch(() => "refused")).toBeNull();
    writeFileSync(ca, "no certificate");
    await expect.poll(() => errors.length).toBe(1);
    expect(await ask()).toBeNull();
  });

  test.each([
    ["no authority", undefined, undefined],
    ["another authority", "stranger.crt", undefined],
    ["another authority for the origin, though everywhere else the right one", "authority.crt", "stranger.crt"],
  ])("fail with %s, and the operator is told what to do", async (_what, everywhere, ofOrigin) => {
    const origin = await startSecure();
    const problems: [string, string][] = [];
    const trust = {
      ca: everywhere && file(everywhere),
      origins: ofOrigin === undefined ? {} : { [origin]: { ca: file(ofOrigin) } },
    };
    const reason = await rejection(ask(origin, trust, problems));
    expect(reason.message).toBe("External API could not be reached.");
    expect(problems).toEqual([[origin, expect.stringContaining(`downstreams["${origin}"].tls.ca`)]]);
  });
});

test("give the operator no advice if a downstream is merely unreachable", async () => {
  const problems: unknown[] = [];
  await using outbound = startOutbound({ onTlsProblem: (...problem) => problems.push(problem) });
  const origin = `http://127.0.0.1:${await deadPort()}`;
  await rejection(outbound.httpFor(scope({ origins: [origin], retry: { retries: 0 } }))(origin));
  expect(problems).toEqual([]);
});
