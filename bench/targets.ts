import { create, toBinary } from "@bufbuild/protobuf";
import { ExecuteToolRequestSchema } from "../gen/jackfield/v1/tool_executor_pb.ts";
import type { Target } from "./load/load.ts";
import { keys } from "./service.ts";

const sample = { sku: "SKU-8842", warehouse: "US-WEST" };
const rpcPath = "/jackfield.v1.ToolExecutor/ExecuteTool";
const marker = "ACTIVE";

const mcpHeaders = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  authorization: `Bearer ${keys.rpc}`,
};

/** The Cognigy callback for a tool. */
export function cognigyTarget(port: number, tool = "read_inventory"): Target {
  const headers = { "content-type": "application/json", "x-cognigy-ai-api-key": keys.cognigy };
  const rest = `","name":"${tool}","arguments":${JSON.stringify(sample)}}`;
  return {
    port,
    protocol: "http1",
    path: "/api/v1/llm/tool-callback",
    headers,
    marker,
    body: numbered('{"tool_call_id":"call-', rest),
  };
}

/** The AI Gateway webhook, which answers 202 for a run with one call. */
export function acceptTarget(port: number): Target {
  const headers = { "content-type": "application/json", authorization: `Bearer ${keys.genesys}` };
  const rest = `","tool_calls":[{"id":"call-1","function":{"name":"read_inventory","arguments":${JSON.stringify(sample)}}}]}`;
  return {
    port,
    protocol: "http1",
    path: "/webhook/tool-calls",
    headers,
    marker: "HTTP/1.1 202",
    body: numbered('{"run_id":"run-', rest),
  };
}

/** MCP's `tools/call` as older clients send it. `session`: for servers with sessions. */
export function mcpTarget(port: number, session?: string): Target {
  const rest = `,"method":"tools/call","params":{"name":"read_inventory","arguments":${JSON.stringify(sample)}}}`;
  const headers = {
    ...mcpHeaders,
    "mcp-protocol-version": "2025-06-18",
    ...(session !== undefined && { "mcp-session-id": session }),
  };
  return { port, protocol: "http1", path: "/mcp", headers, marker, body: numbered('{"jsonrpc":"2.0","id":9', rest) };
}

/** MCP's `tools/call` as clients of 2026-07-28 send it. */
export function modernMcpTarget(port: number): Target {
  const version = "2026-07-28";
  const meta = {
    "io.modelcontextprotocol/protocolVersion": version,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
  };
  const params = { name: "read_inventory", arguments: sample, _meta: meta };
  const rest = `,"method":"tools/call","params":${JSON.stringify(params)}}`;
  const headers = {
    ...mcpHeaders,
    "mcp-protocol-version": version,
    "mcp-method": "tools/call",
    "mcp-name": "read_inventory",
  };
  return { port, protocol: "http1", path: "/mcp", headers, marker, body: numbered('{"jsonrpc":"2.0","id":9', rest) };
}

/** A tool through plain HTTP, each call with a key of its own in the body. */
export function httpDoorTarget(port: number): Target {
  const headers = { "content-type": "application/json", authorization: `Bearer ${keys.rpc}` };
  const rest = `",${JSON.stringify(sample).slice(1)}`;
  const body = numbered('{"jackfieldCallId":"call-', rest);
  return { port, protocol: "http1", path: "/tools/read_inventory", headers, marker, body };
}

/** ExecuteTool in Connect's JSON. */
export function connectTarget(port: number): Target {
  const headers = { "content-type": "application/json", authorization: `Bearer ${keys.rpc}` };
  const rest = `","name":"read_inventory","arguments":${JSON.stringify(sample)}}}`;
  return { port, protocol: "http1", path: rpcPath, headers, marker, body: numbered('{"call":{"id":"call-', rest) };
}

/** ExecuteTool in gRPC. */
export function grpcTarget(port: number): Target {
  const headers = { "content-type": "application/grpc", te: "trailers", authorization: `Bearer ${keys.rpc}` };
  const call = {
    id: `call-${pad(0)}`,
    name: "read_inventory",
    input: { case: "argumentsJson" as const, value: JSON.stringify(sample) },
  };
  const message = Buffer.from(toBinary(ExecuteToolRequestSchema, create(ExecuteToolRequestSchema, { call })));
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  const [before, after] = Buffer.concat([frame, message]).toString("latin1").split(pad(0)) as [string, string];
  return { port, protocol: "http2", path: rpcPath, headers, marker, body: numbered(before, after) };
}

function pad(number: number): string {
  return String(number).padStart(14, "0");
}

function numbered(before: string, after: string): (number: number) => Buffer {
  return (number) => Buffer.from(before + pad(number) + after, "latin1");
}
