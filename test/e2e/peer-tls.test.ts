import { readFileSync, writeFileSync } from "node:fs";
import * as http2 from "node:http2";
import * as https from "node:https";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import { loadConfig } from "../../src/app/load-config.ts";
import { ConfigError } from "../../src/config/config-error.ts";
import { post, rpc, readAnswer } from "../support/http-client.ts";
import { createAuthority, opensslMissing as missing } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startService, testTool, type ServiceUnderTest } from "../support/service.ts";

const folder = scratchFolder();
const file = (name: string): string => join(folder.path, name);

beforeAll(() => {
  if (missing === "") createAuthority(folder.path);
});
afterAll(() => folder[Symbol.dispose]());

const own = { ca: file("authority.crt") };
const withClient = { ...own, cert: file("client.crt"), key: file("client.key") };
const strange = { ca: file("stranger.crt") };
const untrusted =
  /its certificate was issued by an authority that is not trusted \([A-Z_]+\): name the authority's certificate in /;

const echo = { plugins: [{ use: testTool("echo") }] };

/** Returns the problems that `/readyz` reports. */
async function faults({ url }: ServiceUnderTest): Promise<string> {
  return (await readAnswer(fetch(`${url}/readyz`))).text;
}

/** Runs a batch, whose job needs the engine. */
async function batch({ url }: ServiceUnderTest): Promise<number> {
  const call = { id: "a", type: "function", function: { name: "echo", arguments: "{}" } };
  return (await readAnswer(post(`${url}/webhook/tool-calls`, { run_id: "r", tool_calls: [call] }))).status;
}

describe.skipIf(missing !== "" || redisMissing() !== undefined)(`Redis over TLS${missing}`, () => {
  async function startTlsRedis(authClients: "yes" | "no") {
    const port = await freePort();
    const files = ["--tls-cert-file", file("server.crt"), "--tls-key-file", file("server.key")];
    const authority = ["--tls-ca-cert-file", file("authority.crt"), "--tls-auth-clients", authClients];
    const server = await startRedis(["--appendonly", "yes", "--tls-port", String(port), ...files, ...authority]);
    return { url: `rediss://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => server.close() };
  }

  test("works with the authority from the file; without it, readiness says what to do", async () => {
    await using server = await startTlsRedis("no");
    {
      await using service = await startService({ ...echo, yaml: { engine: { url: server.url, tls: own } } });
      expect(service.logs()).toContain('"store":"redis"');
      expect(await batch(service)).toBe(202);
    }
    for (const tls of [undefined, strange]) {
      await using service = await startService({ ...echo, yaml: { engine: { url: server.url, ...(tls && { tls }) } } });
      expect(await faults(service)).toMatch(new RegExp(`engine: Redis at .*${untrusted.source}engine\\.tls\\.ca`));
      expect(await batch(service)).toBe(503);
    }
  }, 60_000);

  test("presents a client certificate to a server that requires one", async () => {
    await using server = await startTlsRedis("yes");
    {
      await using service = await startService({ ...echo, yaml: { engine: { url: server.url, tls: withClient } } });
      expect(await batch(service)).toBe(202);
    }
    await using service = await startService({ ...echo, yaml: { engine: { url: server.url, tls: own } } });
    expect(await faults(service)).toMatch(
      // Whether the server's reason arrives before the end of the connection differs between releases of Node.
      /engine: Redis at .*(?:it requires|if it asks for) a client certificate.*: name one in engine\.tls\.cert and engine\.tls\.key/,
    );
  }, 60_000);
});

describe.skipIf(missing !== "" || postgresMissing() !== undefined)(`PostgreSQL over TLS${missing}`, () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  beforeAll(async () => {
    server = await startPostgres({ tls: { cert: file("server.crt"), key: file("server.key"), clientCa: own.ca } });
  }, 60_000);
  afterAll(() => server?.close());

  /** Reports for each connection of the service whether it is encrypted, and its client certificate. */
  async function connections(): Promise<{ ssl: boolean; client_dn: string | null }[]> {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    try {
      const { rows } = await client.query<{ ssl: boolean; client_dn: string | null }>(
        "SELECT ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'jackfield'",
      );
      return rows;
    } finally {
      await client.end();
    }
  }

  test.each<[what: string, engine: () => object, clientDn: string | null]>([
    ["engine.tls", () => ({ url: server.url, tls: own }), null],
    ["engine.tls with a client certificate", () => ({ url: server.url, tls: withClient }), "/CN=client"],
    ["engine.tls beside sslmode", () => ({ url: `${server.url}?sslmode=require`, tls: own }), null],
    ["sslrootcert in the URL", () => ({ url: `${server.url}?sslmode=verify-full&sslrootcert=${own.ca}` }), null],
  ])(
    "%s",
    async (_what, engine, clientDn) => {
      await using service = await startService({ ...echo, yaml: { engine: engine() } });
      expect(service.logs()).toContain('"store":"postgres"');
      expect(await batch(service)).toBe(202);
      const open = await connections();
      expect(open.length).toBeGreaterThan(0);
      for (const one of open) expect(one).toEqual({ ssl: true, client_dn: clientDn });
    },
    60_000,
  );

  test.each<[what: string, engine: () => object]>([
    ["another authority", () => ({ url: server.url, tls: strange })],
    ["none", () => ({ url: `${server.url}?sslmode=verify-full` })],
  ])(
    "with %s readiness says what to do",
    async (_what, engine) => {
      await using service = await startService({ ...echo, yaml: { engine: engine() } });
      expect(await faults(service)).toMatch(new RegExp(`engine: PostgreSQL at .*${untrusted.source}engine\\.tls\\.ca`));
    },
    60_000,
  );
});

describe.skipIf(missing !== "" || postgresMissing() !== undefined)(`the database of a tool over TLS${missing}`, () => {
  test("DATABASE_URL names the authority, and without it the tool has no database", async () => {
    const server = await startPostgres({ tls: { cert: file("server.crt"), key: file("server.key") } });
    try {
      for (const [query, outcome] of [
        [`sslmode=verify-full&sslrootcert=${own.ca}`, "OUTCOME_OK"],
        ["sslmode=verify-full", "OUTCOME_FAILED"],
      ] as const) {
        await using service = await startService({
          env: { DATABASE_URL: `${server.url}?${query}` },
          plugins: [{ use: "@jackfield/search-inventory" }],
        });
        const call = { id: "a", name: "search_inventory", arguments: { sku: "SKU-8842", warehouse: "US-WEST" } };
        const { body } = await rpc(service.url, "ToolExecutor/ExecuteTool", { call });
        expect(body).toMatchObject({ result: { outcome } });
      }
    } finally {
      await server.close();
    }
  }, 60_000);
});

describe.skipIf(missing !== "")(`downstreams over TLS${missing}`, () => {
  let office: https.Server;
  let url: string;
  const clients: string[] = [];
  const listening = (server: Server) =>
    new Promise<number>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
    );
  const certificate = () => ({ cert: readFileSync(file("server.crt")), key: readFileSync(file("server.key")) });

  beforeAll(async () => {
    const options = { ...certificate(), ca: readFileSync(own.ca), requestCert: true, rejectUnauthorized: false };
    office = https.createServer(options, (request, response) => {
      clients.push(String((request.socket as TLSSocket).getPeerCertificate().subject?.CN));
      response.setHeader("content-type", "application/json").end('{"booked":true}');
    });
    url = `https://localhost:${await listening(office)}`;
  });
  afterAll(() => void office?.close());

  const book = async (service: ServiceUnderTest) => {
    const call = { id: crypto.randomUUID(), name: "book", arguments: { seat: "1" } };
    const { body } = await rpc(service.url, "ToolExecutor/ExecuteTool", { call });
    return (body as { result?: Record<string, unknown> }).result;
  };
  const start = (yaml: Record<string, unknown>) =>
    startService({ yaml, plugins: [{ use: testTool("book"), config: { baseUrl: url } }] });

  test("outbound.tls.ca is trusted in addition to Node's authorities", async () => {
    await using service = await start({ outbound: { tls: own } });
    expect(await book(service)).toMatchObject({ outcome: "OUTCOME_OK", value: { booked: true } });
    expect(clients.at(-1)).toBe("undefined");
  }, 60_000);

  test("an origin has its own authority and client certificate", async () => {
    await using service = await start({ outbound: { tls: strange }, downstreams: { [url]: { tls: withClient } } });
    expect(await book(service)).toMatchObject({ outcome: "OUTCOME_OK" });
    expect(clients.at(-1)).toBe("client");
  }, 60_000);

  test("without the authority the model gets no details, and one log line says what to do", async () => {
    for (const yaml of [{}, { outbound: { tls: own }, downstreams: { [url]: { tls: strange } } }]) {
      await using service = await start(yaml);
      expect(await book(service)).toMatchObject({
        outcome: "OUTCOME_FAILED",
        error: { message: "External API could not be reached." },
      });
      const lines = service
        .logs()
        .split("\n")
        .filter((line) => line.includes("a downstream cannot be reached by TLS"));
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? "{}")).toMatchObject({ level: "error", origin: url });
      expect(lines[0]).toMatch(new RegExp(`${untrusted.source}outbound\\.tls or downstreams`));
    }
  }, 60_000);

  test("gRPC targets use the same certificates", async () => {
    const plugin = http2.createSecureServer(
      { ...certificate() },
      connectNodeAdapter({
        routes: (router) =>
          router.service(ToolPlugin, {
            async *execute() {
              yield {
                event: { case: "output" as const, value: { kind: { case: "stringValue" as const, value: "far" } } },
              };
            },
          }),
      }),
    );
    const address = `localhost:${await listening(plugin)}`;
    try {
      const tool = { name: "far", description: "Answers.", inputSchema: { type: "object" }, effect: "EFFECT_READ" };
      for (const [yaml, outcome] of [
        [{ outbound: { tls: own } }, "OUTCOME_OK"],
        [{}, "OUTCOME_FAILED"],
      ] as const) {
        await using service = await startService({ yaml, env: { JACKFIELD_PRIVATE_ADDRESSES: "localhost" }, ...echo });
        const target = { grpc: { address, tls: true } };
        expect((await rpc(service.url, "ToolRegistry/RegisterTool", { tool, target })).status).toBe(200);
        const { body } = await rpc(service.url, "ToolExecutor/ExecuteTool", { call: { id: "f", name: "far" } });
        expect(body).toMatchObject({ result: { outcome } });
        expect(service.logs().includes("a downstream cannot be reached by TLS")).toBe(outcome !== "OUTCOME_OK");
      }
    } finally {
      plugin.close();
    }
  }, 60_000);
});

describe.skipIf(missing !== "")(`certificates in the configuration${missing}`, () => {
  function faultsOf(yaml: object): readonly string[] {
    writeFileSync(file("jackfield.yaml"), JSON.stringify(yaml));
    writeFileSync(file("empty.pem"), "nothing\n");
    try {
      loadConfig({ env: {}, cwd: folder.path });
    } catch (reason) {
      if (reason instanceof ConfigError) return reason.problems;
      throw reason;
    }
    return [];
  }

  test("paths are relative to the file's folder", () => {
    expect(faultsOf({ engine: { url: "rediss://r", tls: { ca: "authority.crt" } } })).toEqual([]);
  });

  test.each<[yaml: object, fault: RegExp]>([
    [
      { engine: { url: "rediss://r", tls: { ca: "absent.pem" } } },
      /engine\.tls must name PEM files.*absent\.pem cannot be read \(there is no such file\)/,
    ],
    [{ engine: { url: "rediss://r", tls: { ca: "empty.pem" } } }, /engine\.tls must .*ca contains no certificate/],
    [{ engine: { url: "rediss://r", tls: { cert: "client.crt" } } }, /engine\.tls must name cert and key together/],
    [
      { engine: { url: "rediss://r", tls: { cert: "client.crt", key: "server.key" } } },
      /engine\.tls must .*they do not match/,
    ],
    [{ engine: { url: "redis://r", tls: own } }, /engine\.tls must be used with a URL of scheme rediss:/],
    [{ engine: { tls: own } }, /engine\.tls must be used with the URL of an engine/],
    [{ engine: { url: "postgres://p/d?sslrootcert=x", tls: own } }, /sslrootcert in the URL too/],
    [{ engine: { url: "postgres://p/d?sslmode=disable", tls: own } }, /found sslmode=disable: remove it/],
    [
      { engine: { url: "postgres://p/d?sslmode=verify-full&sslrootcert=/absent.pem" } },
      /The engine's URL must .*\/absent\.pem cannot be read/,
    ],
    [{ outbound: { tls: { ca: "absent.pem" } } }, /outbound\.tls must name PEM files/],
    [{ downstreams: { "http://a.example.com": { tls: own } } }, /must belong to an origin with https:/],
    [{ downstreams: { "https://a.example.com/x": { tls: own } } }, /downstreams must list origins/],
  ])("%o is a problem whose message says what to do", (yaml, fault) => {
    expect(faultsOf(yaml).join("\n")).toMatch(fault);
  });
});
