import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import { createAuthority, opensslMissing as missing } from "../support/certificates.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { embedded, refusal, startReplica, tool } from "./replica.ts";

const folder = scratchFolder();
const file = (name: string): string => join(folder.path, name);

beforeAll(() => {
  if (missing === "") createAuthority(folder.path);
});
afterAll(() => folder[Symbol.dispose]());

/** Starts a gRPC server with a certificate of an authority that nobody trusts. */
async function startSecure() {
  const server = createSecureServer(
    { cert: readFileSync(file("server.crt")), key: readFileSync(file("server.key")) },
    connectNodeAdapter({ routes: (router) => void router.service(ToolPlugin, {}) }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin: `https://${address}`, target: { target: { case: "grpc" as const, value: { address, tls: true } } } };
}

describe.skipIf(missing !== "")(`a gRPC target with an untrusted certificate${missing}`, () => {
  const unreachable = "External API could not be reached.";

  test.each([Effect.READ, Effect.WRITE])(
    "cannot be reached, and the operator is told what to do (effect %d)",
    async (effect) => {
      const { origin, target } = await startSecure();
      const app = await startReplica(await embedded());
      await app.register({ ...tool, effect }, target);
      expect(await app.call()).toMatchObject({ outcome: "FAILED", output: unreachable });
      expect(app.tlsProblems[0]).toMatch(`${origin}: `);
      expect(app.tlsProblems[0]).toMatch(`downstreams["${origin}"].tls.ca`);
    },
  );

  test("cannot describe its tool", async () => {
    const { origin, target } = await startSecure();
    const app = await startReplica(await embedded());
    const { message } = await refusal(app.register({ name: "work" }, target));
    expect(message).toBe(`target.grpc: Describe failed: ${unreachable}`);
    expect(app.tlsProblems).toEqual([expect.stringContaining(origin)]);
  });
});
