import * as fc from "fast-check";
import { expect } from "vitest";
import { eventsOf, expectNotOurFault, json } from "../answers.ts";
import { argumentsText, bodies, headersWith, id, objectText, quoted, salt, toolName } from "../arbitraries.ts";
import { type Door, single } from "../door.ts";
import type { FuzzRequest } from "../exchange.ts";
import { jsonText } from "../../support/hostile-json.ts";
import { key } from "../service.ts";

const methods = [
  "tools/call",
  "tools/call",
  "tools/call",
  "tools/list",
  "initialize",
  "ping",
  "server/discover",
  "tasks/get",
  "tasks/cancel",
  "tasks/update",
  "subscriptions/listen",
  "notifications/cancelled",
  "notifications/initialized",
  "resources/list",
  "x",
];

const meta = fc
  .record(
    {
      "io.modelcontextprotocol/protocolVersion": fc.constantFrom('"2026-07-28"', '"2025-11-25"', '""', "1"),
      "io.modelcontextprotocol/clientCapabilities": fc.oneof(
        fc.constantFrom("{}", '{"extensions":{"io.modelcontextprotocol/tasks":{}}}', "[]"),
        jsonText,
      ),
      "jackfield/idempotencyKey": quoted(id),
      "jackfield/conversationId": quoted(id),
      progressToken: fc.oneof(fc.constantFrom('"p"', "1"), jsonText),
      traceparent: quoted(fc.string()),
    },
    { requiredKeys: ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"] },
  )
  .map(objectText);

const message = fc
  .record(
    {
      jsonrpc: fc.constantFrom('"2.0"', '"2.0"', '"2.0"', "2"),
      id: fc.oneof(fc.constant(`"${salt}"`), fc.constantFrom("1", "null", "1e400"), jsonText),
      method: quoted(fc.constantFrom(...methods)),
      params: fc
        .record(
          {
            name: quoted(toolName),
            arguments: argumentsText,
            _meta: meta,
            cursor: quoted(fc.string()),
            taskId: quoted(id),
            requestState: quoted(fc.string()),
            protocolVersion: fc.constantFrom('"2025-11-25"', '"x"', "1"),
            notifications: jsonText,
          },
          { requiredKeys: ["name", "arguments"] },
        )
        .map(objectText),
    },
    { requiredKeys: ["jsonrpc", "method", "params"] },
  )
  .map(objectText);

/** MCP over HTTP. */
export const mcp: Door = {
  name: "mcp",
  requests: single(
    fc
      .record({
        headers: headersWith([
          ["content-type", "application/json"],
          ["authorization", `Bearer ${key}`],
          ["accept", "application/json, text/event-stream"],
        ]),
        body: bodies(message),
      })
      .map((parts): FuzzRequest => ({ method: "POST", path: "/mcp", openEnded: true, ...parts })),
  ),
  check({ status, text, headers, cut }) {
    expectNotOurFault(status, text);
    if (status === 202) return expect(text).toBe("");
    if (headers.get("content-type") === "text/event-stream") {
      for (const { data } of eventsOf(text).slice(0, cut ? -1 : undefined)) expectMessage(json(data));
      return;
    }
    expect(headers.get("content-type")).toMatch(/^application\/json/);
    // Requests that are not HTTP, or whose head is too long, do not reach MCP.
    if ([400, 417, 431].includes(status) && text.startsWith('{"error":"')) return;
    if (!cut) expectMessage(json(text));
  },
};

function expectMessage(body: Record<string, unknown>): void {
  expect(body["jsonrpc"]).toBe("2.0");
  const { error } = body as { error?: { code: number; message: string } };
  if (error === undefined) return expect("result" in body || "method" in body, JSON.stringify(body)).toBe(true);
  expect(Object.keys(error).filter((name) => name !== "data")).toEqual(["code", "message"]);
  expect(error.code, JSON.stringify(body)).not.toBe(-32603);
}
