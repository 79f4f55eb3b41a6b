// Counts the files that one call enters through each entry point: `npm run trace-call [-- --files NAME]`.
//
// It records every function entry of `src` and `plugins` on the main thread during one call, after two calls as warm-up.
// Of several recordings the shortest counts, because timers of the service fall into the others. `files` is the number of
// files entered, `entries` of functions entered, `changes` counts how often the next entry was in another file, and
// `returns` how many of these changes led to a file that had been left before. `--files NAME` lists the files of one row
// in order.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import type * as Package from "../src/index.ts";
import { ToolExecutor } from "../gen/jackfield/v1/tool_executor_pb.ts";
import { recordFunctionEntries } from "./function-entries.ts";

const { values } = parseArgs({
  options: { files: { type: "string" }, root: { type: "string", default: join(import.meta.dirname, "..") } },
});
const entries = recordFunctionEntries(values.root, ["src", "plugins"]);
const folder = mkdtempSync(join(tmpdir(), "jackfield-trace-"));
const backOffice = await startBackOffice();
const { createJackfield } = (await import(join(values.root, "src/jackfield.ts"))) as Pick<
  typeof Package,
  "createJackfield"
>;
const service = await createJackfield(
  { port: 0, dataDir: folder },
  { cwd: folder, env: environment(backOffice.url), destination: { write: () => {} } },
);

/** Recordings of each entry point. */
const recordings = 8;

const json = { "content-type": "application/json" };
const post =
  (path: string, body: object, headers: Record<string, string> = {}) =>
  async (): Promise<boolean> => {
    const response = await fetch(service.url + path, {
      method: "POST",
      headers: { ...json, ...headers },
      body: JSON.stringify(body).replaceAll("CALL", `call-${Math.random()}`),
    });
    await response.text();
    return response.status !== 404;
  };
const order = { order_id: "ORD-1001" };
const orderCall = { id: "CALL", name: "get_order_status" };
const batch = [{ id: "CALL", type: "function", function: { name: orderCall.name, arguments: JSON.stringify(order) } }];
const grpc = createClient(ToolExecutor, createGrpcTransport({ baseUrl: service.url }));
const connect = createClient(ToolExecutor, createConnectTransport({ baseUrl: service.url, httpVersion: "1.1" }));
const input = { case: "arguments", value: order } as const;
const callback = "/api/v1/llm/tool-callback";
const mcp = { "mcp-protocol-version": "2025-06-18", accept: "application/json, text/event-stream" };

const entryPoints: Record<string, () => Promise<boolean>> = {
  "Cognigy, read": post(callback, { tool_call_id: "CALL", name: orderCall.name, arguments: order }),
  "Cognigy, write": post(callback, {
    tool_call_id: "CALL",
    name: "update_ticket_priority",
    arguments: { ticket_id: "TCK-1001", priority: "high" },
  }),
  "Cognigy, unknown tool": post(callback, { tool_call_id: "CALL", name: "no_such_tool", arguments: {} }),
  "Genesys LLM Gateway": post("/llm-gateway/tools", { conversation_id: "c-1", tool_calls: batch }),
  "Genesys AI Gateway, to its delivery": async () => {
    const delivered = backOffice.delivery();
    const found = await post("/webhook/tool-calls", { run_id: "CALL", tool_calls: batch })();
    await delivered;
    return found;
  },
  "gRPC, one call": async () => (await grpc.executeTool({ call: { name: orderCall.name, input } })) !== undefined,
  "Connect, stream": async () => {
    for await (const { event } of connect.executeTools({ calls: [{ name: orderCall.name, input }] })) {
      if (event.case === undefined) throw new Error("an empty event");
    }
    return true;
  },
  "HTTP, POST /tools/{name}": post(`/tools/${orderCall.name}`, order),
  "MCP, tools/call": post(
    "/mcp",
    { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: orderCall.name, arguments: order } },
    mcp,
  ),
};

try {
  console.log(`| entry point | files | entries | changes | returns |\n| --- | --- | --- | --- | --- |`);
  for (const [name, call] of Object.entries(entryPoints)) {
    if (!(await call())) continue;
    await call();
    await settled();
    let entered = await record(call);
    for (let again = 1; again < recordings; again++) {
      const other = await record(call);
      if (other.length < entered.length) entered = other;
    }
    const visits = entered.filter((file, index) => file !== entered[index - 1]);
    const files = new Set(visits);
    console.log(
      `| ${name} | ${files.size} | ${entered.length} | ${visits.length - 1} | ${visits.length - files.size} |`,
    );
    if (values.files === name) console.log(visits.join("\n"));
  }
} finally {
  await service[Symbol.asyncDispose]();
  await backOffice[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}

async function record(call: () => Promise<boolean>): Promise<string[]> {
  // By now the audit line of the previous call is written.
  await sleep(50);
  entries.start();
  await call();
  await settled();
  return entries.stop();
}

/** Waits until the work that continues after an answer is done. Audit lines are written later. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function environment(url: string): Record<string, string> {
  return {
    EXTERNAL_API_BASE_URL: url,
    WEATHER_API_BASE_URL: url,
    GEOCODING_API_BASE_URL: url,
    GENESYS_API_BASE_URL: url,
    GENESYS_TOKEN_URL: `${url}/oauth/token`,
    GENESYS_CLIENT_ID: "trace",
    GENESYS_CLIENT_SECRET: "trace-secret",
  };
}

/** Starts a server that plays back office and platform, outside of what is counted. */
async function startBackOffice() {
  let delivered: (() => void) | undefined;
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      response.writeHead(200, json).end(JSON.stringify(answerTo(request.url ?? "")));
      if (request.url?.includes("tool-outputs") === true || request.url?.includes("/runs/") === true) delivered?.();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delivery: () => new Promise<void>((resolve) => (delivered = resolve)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function answerTo(path: string): object {
  if (path.endsWith("/oauth/token")) return { access_token: "t", token_type: "bearer", expires_in: 3600 };
  if (path.includes("/orders/")) return { id: "ORD-1001", status: "shipped", estimated_delivery: null };
  return { id: "TCK-1001", priority: "high", status: "open" };
}
