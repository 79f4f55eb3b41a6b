import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import * as http2 from "node:http2";
import * as https from "node:https";
import { join } from "node:path";
import { connect, type PeerCertificate } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { ConfigError } from "../../src/config/config-error.ts";
import { loadConfig } from "../../src/app/load-config.ts";
import { createCertificate, opensslMissing as missing } from "../support/certificates.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startService, testTool } from "../support/service.ts";
import { over2, raw, start } from "./start.ts";

// Node cannot create certificates.
const folder = scratchFolder();
const file = (name: string): string => join(folder.path, name);
const log = { info() {}, error() {}, debug() {} };

const makeCertificate = (name: string, subject: string, ca?: string) =>
  createCertificate(folder.path, name, { subject, ca });

beforeAll(() => {
  if (missing !== "") return;
  makeCertificate("first", "first");
  makeCertificate("second", "second");
  makeCertificate("authority", "authority");
  makeCertificate("client", "client", "authority");
});
afterAll(() => folder[Symbol.dispose]());

function peerOf(port: number, options: object = {}): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

const current = { cert: file("current.crt"), key: file("current.key"), clientCa: undefined };
function use(name: string): void {
  copyFileSync(file(`${name}.crt`), current.cert);
  copyFileSync(file(`${name}.key`), current.key);
}

describe.skipIf(missing !== "")(`TLS on the port${missing}`, () => {
  test("HTTP/1.1 and HTTP/2 over TLS share the port, and cleartext gets no answer", async () => {
    use("first");
    await using server = await start({ port: { tls: { config: current, log } } });
    const status = await new Promise((resolve, reject) => {
      const options = { port: server.port, path: "/healthz", ca: [readFileSync(file("first.crt"))], agent: false };
      https.get(options, (response) => (response.resume(), resolve(response.statusCode))).on("error", reject);
    });
    expect(status).toBe(200);
    const session = http2.connect(`https://localhost:${server.port}`, { rejectUnauthorized: false });
    const answer = await over2(
      session,
      { ":method": "POST", ":path": "/echo", "content-type": "application/json" },
      '{"a":1}',
    );
    expect([answer.headers[":status"], answer.text]).toEqual([200, '{"body":{"a":1}}']);
    session.destroy();
    expect(await raw(server.port, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")).not.toContain("HTTP/1.1");
  });

  test("changed certificate files are used for new connections, and unusable ones are not", async () => {
    use("first");
    const errors: unknown[] = [];
    const tls = { config: current, log: { ...log, error: (line: unknown) => void errors.push(line) }, reloadMs: 20 };
    await using server = await start({ port: { tls } });
    expect((await peerOf(server.port)).subject.CN).toBe("first");
    writeFileSync(current.cert, "no certificate");
    await expect.poll(() => errors.length).toBe(1);
    expect((await peerOf(server.port)).subject.CN).toBe("first");
    use("second");
    await expect.poll(async () => (await peerOf(server.port)).subject.CN).toBe("second");
  });

  test("with a client authority only clients with its certificate are served", async () => {
    use("first");
    const config = { ...current, clientCa: file("authority.crt") };
    await using server = await start({ port: { tls: { config, log } } });
    const ask = (options: object) =>
      new Promise<number | undefined>((resolve, reject) => {
        https
          .get(
            {
              port: server.port,
              host: "127.0.0.1",
              path: "/healthz",
              rejectUnauthorized: false,
              agent: false,
              ...options,
            },
            (response) => (response.resume(), resolve(response.statusCode)),
          )
          .on("error", reject);
      });
    await expect(ask({})).rejects.toThrow();
    const stranger = { cert: readFileSync(file("second.crt")), key: readFileSync(file("second.key")) };
    await expect(ask(stranger)).rejects.toThrow();
    expect(await ask({ cert: readFileSync(file("client.crt")), key: readFileSync(file("client.key")) })).toBe(200);
  });

  test("the whole service uses TLS by its configuration file, gRPC included", async () => {
    use("first");
    await using service = await startService({
      plugins: [{ use: testTool("nap") }],
      yaml: { tls: { cert: current.cert, key: current.key } },
    });
    expect(service.url).toMatch(/^https:/);
    const transport = createGrpcTransport({ baseUrl: service.url, nodeOptions: { rejectUnauthorized: false } });
    const { tools } = await createClient(ToolExecutor, transport).listTools({});
    expect(tools.map(({ name }) => name)).toEqual(["nap"]);
  });

  test("unusable certificate files are a problem of the configuration", () => {
    writeFileSync(file("jackfield.yaml"), "tls: { cert: ./first.crt, key: ./second.key }\n");
    expect(() => loadConfig({ env: {}, cwd: folder.path })).toThrow(/tls must name a certificate and its key/);
    writeFileSync(file("jackfield.yaml"), "tls: { cert: ./absent.crt, key: ./second.key }\n");
    expect(() => loadConfig({ env: {}, cwd: folder.path })).toThrow(ConfigError);
  });
});
