import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import { createTrust } from "../../src/outbound/trust.ts";
import { createAuthority, opensslMissing as missing } from "../support/certificates.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { embedded, httpTo, refusal, startReplica, tool } from "./replica.ts";

const folder = scratchFolder();
const file = (name: string): string => join(folder.path, name);

beforeAll(() => {
  if (missing === "") createAuthority(folder.path);
});
afterAll(() => folder[Symbol.dispose]());

/** Starts a target for gRPC and HTTP with a certificate of our own authority, which asks for a client certificate. */
async function startSecure() {
  const clients: unknown[] = [];
  const server = createSecureServer(
    {
      cert: readFileSync(file("server.crt")),
      key: readFileSync(file("server.key")),
      ca: readFileSync(file("authority.crt")),
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: true,
    },
    connectNodeAdapter({
      routes: (router) =>
        router.service(ToolPlugin, {
          async *execute() {
            yield { event: { case: "output" as const, value: { kind: { case: "boolValue" as const, value: true } } } };
          },
        }),
      fallback: (_, response) => void response.end("true"),
    }),
  );
  server.on("secureConnection", (socket: TLSSocket) => void clients.push(socket.getPeerCertificate().subject?.CN));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const grpc = { target: { case: "grpc" as const, value: { address, tls: true } } };
  return { origin: `https://${address}`, grpc, http: httpTo(`https://${address}/`), clients };
}

describe.skipIf(missing !== "")(`a gRPC target with an untrusted certificate${missing}`, () => {
  const unreachable = "External API could not be reached.";

  test.each([Effect.READ, Effect.WRITE])(
    "cannot be reached, and the operator is told what to do (effect %d)",
    async (effect) => {
      const { origin, grpc } = await startSecure();
      const app = await startReplica(await embedded());
      await app.register({ ...tool, effect }, grpc);
      expect(await app.call()).toMatchObject({ outcome: "FAILED", output: unreachable });
      expect(app.tlsProblems[0]).toMatch(`${origin}: `);
      expect(app.tlsProblems[0]).toMatch(`downstreams["${origin}"].tls.ca`);
    },
  );

  test("cannot describe its tool", async () => {
    const { origin, grpc } = await startSecure();
    const app = await startReplica(await embedded());
    const { message } = await refusal(app.register({ name: "work" }, grpc));
    expect(message).toBe(`target.grpc: Describe failed: ${unreachable}`);
    expect(app.tlsProblems).toEqual([expect.stringContaining(origin)]);
  });
});

describe.skipIf(missing !== "")(`an origin with an authority and a client certificate of its own${missing}`, () => {
  test.each(["grpc", "http"] as const)("gets no client certificate from a registered tool (%s)", async (kind) => {
    const target = await startSecure();
    const files = { ca: file("authority.crt"), cert: file("client.crt"), key: file("client.key") };
    const trust = createTrust(
      { ca: undefined, origins: { [target.origin]: files } },
      { log: { info() {}, error() {} } },
    );
    onTestFinished(() => trust.close());
    const app = await startReplica(await embedded(), { trust });
    await app.register(tool, target[kind]);
    expect(await app.call()).toMatchObject({ outcome: "OK", output: "true" });
    expect(target.clients).toEqual([undefined]);
  });
});
