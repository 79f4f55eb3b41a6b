import * as fc from "fast-check";
import { expect } from "vitest";
import { expectErrorJson, eventsOf, json } from "../answers.ts";
import { argumentsMember, bodies, headersWith, id, objectText, quoted, toolName } from "../arbitraries.ts";
import { type Door, single } from "../door.ts";
import type { FuzzRequest } from "../exchange.ts";
import { key } from "../service.ts";

const type = ["content-type", "application/json"] as const;
const bearer = ["authorization", `Bearer ${key}`] as const;

const platformCall = fc
  .record({ id: quoted(id), name: quoted(toolName), args: argumentsMember })
  .map(({ id: callId, name, args }) =>
    objectText({ id: callId, type: '"function"', function: objectText({ name, arguments: args }) }),
  );
const platformCalls = fc
  .oneof({ weight: 9, arbitrary: fc.array(platformCall, { maxLength: 4 }) }, { weight: 1, arbitrary: repeated() })
  .map((calls) => `[${calls.join(",")}]`);

/** One call many times, under different ids. */
function repeated(): fc.Arbitrary<string[]> {
  return fc
    .tuple(fc.integer({ min: 60, max: 66 }), toolName, argumentsMember)
    .filter(([count, , args]) => count * args.length < 1_000_000)
    .map(([count, name, args]) =>
      Array.from({ length: count }, (_, index) =>
        objectText({ id: `"${index}"`, function: objectText({ name: JSON.stringify(name), arguments: args }) }),
      ),
    );
}

const post = (path: string, right: Parameters<typeof headersWith>[0], body: fc.Arbitrary<string>) =>
  fc
    .record({ headers: headersWith(right), body: bodies(body) })
    .map((parts): FuzzRequest => ({ method: "POST", path, ...parts }));

const callback = "/api/v1/llm/tool-callback";

/** Cognigy: the callback and its poll. */
export const cognigy: Door = {
  name: "cognigy",
  requests: fc.oneof(
    {
      weight: 5,
      arbitrary: single(
        post(
          callback,
          [type, ["x-cognigy-ai-api-key", key]],
          fc
            .record({ tool_call_id: quoted(id), name: quoted(toolName), arguments: argumentsMember })
            .map((members) => objectText(members)),
        ),
      ),
    },
    {
      weight: 1,
      arbitrary: single(
        fc.record({ id, headers: headersWith([["x-cognigy-ai-api-key", key]]) }).map((parts): FuzzRequest => {
          const encoded = encodeURIComponent(parts.id.toWellFormed());
          return { method: "GET", path: `${callback}/${encoded}`, headers: parts.headers, body: "" };
        }),
      ),
    },
  ),
  check(answer) {
    const { status, text } = answer;
    if (status === 404) expect(text).toMatch(/Unknown tool_call_id|Not found/);
    if (status === 202) return expect(Object.keys(json(text))).toEqual(["tool_call_id", "status"]);
    if (status !== 200) return expectErrorJson(answer);
    expect(Object.keys(json(text)), text).toEqual(["tool_call_id", "output"]);
    expect(json(text)["output"]).toBeTypeOf("string");
  },
};

const context = { conversation_id: quoted(id), session_id: quoted(id) };

/** Genesys: the webhook of the LLM Gateway, which streams. */
export const genesysGateway: Door = {
  name: "genesys-gateway",
  requests: single(
    post(
      "/llm-gateway/tools",
      [type, bearer],
      fc.record({ tool_calls: platformCalls, ...context }, { requiredKeys: ["tool_calls"] }).map(objectText),
    ),
  ),
  check(answer) {
    if (answer.status !== 200) return expectErrorJson(answer);
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const events = eventsOf(answer.text);
    expect(events.map(({ event }) => event)).toEqual(
      events.map((_, index) => (index === events.length - 1 ? "tool_result" : "tool_progress")),
    );
    const results = json(events.at(-1)?.data ?? "")["tool_results"] as { function: { output: string } }[];
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) {
      expect(Object.keys(result)).toEqual(["id", "function"]);
      expect(() => JSON.parse(result.function.output) as unknown, result.function.output).not.toThrow();
    }
  },
};

/** Genesys: the webhook of the AI Gateway, whose results are delivered later. */
export const genesysWorker: Door = {
  name: "genesys-worker",
  requests: single(
    post(
      "/webhook/tool-calls",
      [type, bearer],
      fc.record({ run_id: quoted(id), tool_calls: platformCalls }).map(objectText),
    ),
  ),
  check(answer) {
    if (answer.status !== 202) return expectErrorJson(answer);
    expect(answer.text).toBe('{"status":"accepted"}');
    expect(answer.headers.get("jackfield-job-id")).toMatch(/./);
  },
};

/** Plain HTTP: tools, calls and definitions. */
export const http: Door = {
  name: "http",
  requests: single(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .record({
            name: toolName,
            headers: headersWith([type, bearer, ["idempotency-key", "key-~~salt~~"]]),
            body: bodies(argumentsMember),
          })
          .map(({ name, ...parts }): FuzzRequest => {
            return { method: "POST", path: `/tools/${encodeURIComponent(name.toWellFormed())}`, ...parts };
          }),
      },
      {
        weight: 2,
        arbitrary: fc
          .record({
            method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "QUERY"),
            path: fc.oneof(
              id.map((one) => `/calls/${encodeURIComponent(one.toWellFormed())}`),
              fc.constantFrom(
                "/openapi.json",
                "/tools",
                "/tools?format=mcp",
                "/tools?format=x",
                "/nowhere",
                "/mcp",
                "//",
                "*",
              ),
              fc.stringMatching(/^[!-~]{0,60}$/).map((text) => `/${text}`),
              fc.stringMatching(/^[!-~]{0,10}$/).map((text) => `/tools/${text.repeat(400)}`),
            ),
            headers: headersWith([bearer]),
          })
          .map((parts): FuzzRequest => ({ ...parts, body: "" })),
      },
    ),
  ),
  check(answer, { method, path }) {
    const { status, text } = answer;
    if (method === "HEAD" || status === 204) return;
    // The answers of MCP and of RPC have their own shapes.
    if (status >= 400 && !/^\/(?:mcp|jackfield\.v1|grpc)/i.test(path)) return expectErrorJson(answer);
    if (!(path.startsWith("/tools/") || path.startsWith("/calls/")) || status !== 200) return;
    const keys = ["callId", "outcome", "output", "value", "replayed", "truncated"];
    expect(Object.keys(json(text)), text).toEqual(keys);
  },
};
