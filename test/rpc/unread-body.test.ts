import * as http from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { frame } from "./raw-exchange.ts";
import { createParts, createServices, openListener, serve } from "./rpc-kit.ts";

const methods = "/jackfield.v1.ToolExecutor/";

test("a stream message that is too large leaves its connection to the next request", async () => {
  const parts = createParts();
  const server = await serve(await openListener(createServices(parts), parts.telemetry, 65_536));
  onTestFinished(() => server[Symbol.asyncDispose]());
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const sockets = new Set<unknown>();
  const send = (method: string, type: string, body: Uint8Array) =>
    new Promise<string>((resolve, reject) => {
      const headers = { "content-type": type, "content-length": body.length };
      const request = http.request(server.url1 + methods + method, { method: "POST", agent, headers }, (response) => {
        sockets.add(response.socket);
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.once("end", () => resolve(text));
      });
      request.once("error", reject);
      request.end(body);
    });
  for (let index = 0; index < 3; index++) {
    // More than the sockets hold.
    const large = send("ExecuteTools", "application/connect+json", frame(Buffer.alloc(8_000_000, "x")));
    const next = send("ListTools", "application/json", Buffer.from("{}"));
    expect(await large).toContain("message size 8000000 is larger than configured readMaxBytes 65536");
    expect(JSON.parse(await next)).toMatchObject({ tools: [{}, {}, {}, {}] });
  }
  expect(sockets.size).toBe(1);
});
