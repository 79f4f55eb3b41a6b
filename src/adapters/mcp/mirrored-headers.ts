import type { IncomingHttpHeaders } from "node:http";
import { isExact } from "../../json/exact-number.ts";
import { isObject } from "../tool-call.ts";
import type { RequestMessage } from "./message.ts";
import { codes, McpError, reserved } from "./protocol.ts";

/**
 * An argument that a modern client repeats in a header: its path in the arguments, and the header name after
 * `Mcp-Param-`.
 */
export interface MirroredArgument {
  readonly path: readonly string[];
  readonly suffix: string;
}

/** The parameter that `Mcp-Name` repeats, by method. */
const namedBy: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/**
 * Checks that the headers of a modern request match its body, so that proxies can rely on them. Throws an McpError.
 * `mirrored` are the marked arguments of the called tool.
 */
export function checkMirroredHeaders(
  message: RequestMessage,
  headers: IncomingHttpHeaders,
  mirrored: readonly MirroredArgument[],
): void {
  const { method, params, meta } = message;
  expectEqual(headers["mcp-protocol-version"], "MCP-Protocol-Version", meta[reserved.protocolVersion], false);
  expectEqual(headers["mcp-method"], "Mcp-Method", method, false);
  const member = namedBy.get(method);
  if (member !== undefined && params[member] !== undefined) {
    expectEqual(headers["mcp-name"], "Mcp-Name", params[member], true);
  }
  for (const { path, suffix } of mirrored) checkArgument(params["arguments"], path, `Mcp-Param-${suffix}`, headers);
}

const mirroredOf = new WeakMap<object, readonly MirroredArgument[]>();

/** Finds the arguments of a schema that are marked with `x-mcp-header`. Each schema is searched once. */
export function mirroredArguments(schema: object): readonly MirroredArgument[] {
  let found = mirroredOf.get(schema);
  if (found === undefined) mirroredOf.set(schema, (found = markedIn(schema, [])));
  return found;
}

function markedIn(schema: unknown, path: readonly string[]): MirroredArgument[] {
  if (!isObject(schema) || !isObject(schema["properties"]) || path.length > 8) return [];
  return Object.entries(schema["properties"]).flatMap(([name, property]) => {
    if (!isObject(property)) return [];
    const suffix = property["x-mcp-header"];
    const own = typeof suffix === "string" && suffix !== "" ? [{ path: [...path, name], suffix }] : [];
    return [...own, ...markedIn(property, [...path, name])];
  });
}

/** Characters of a value that is its own header form, without encoding. */
const plain = /^[\w/.-]+$/;

function checkArgument(args: unknown, path: readonly string[], header: string, headers: IncomingHttpHeaders): void {
  let value = args;
  for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  const given = headers[header.toLowerCase()];
  if (value === undefined || value === null) {
    if (given !== undefined) throw mismatch(`${header} is sent, but the body has no such argument`);
    return;
  }
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    throw mismatch(`${header} mirrors an argument that is not a text, number or boolean`);
  }
  if (typeof value === "number") expectNumber(given, header, value);
  else expectEqual(given, header, String(value), true);
}

type HeaderValue = string | readonly string[] | undefined;

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Compares numbers as numbers: `5.0` is 5, but no digit is lost. */
function expectNumber(header: HeaderValue, name: string, expected: number): void {
  const text = valueOf(header, name, true) ?? "";
  const isSame = jsonNumber.test(text) && Number(text) === expected && isExact(text, expected);
  if (!isSame && text !== String(expected)) throw unequal(name);
}

function expectEqual(header: HeaderValue, name: string, expected: unknown, encoded: boolean): void {
  // The usual case: the same text, which needs no decoding.
  if (header === expected && plain.test(header as string)) return;
  const value = valueOf(header, name, encoded);
  if (value === undefined || value !== expected) throw unequal(name);
}

/** Returns a header's value. Returns undefined if it is malformed. */
function valueOf(header: HeaderValue, name: string, encoded: boolean): string | undefined {
  if (header === undefined) throw mismatch(`${name} is missing`);
  const text = (typeof header === "string" ? header : header.join(", ")).trim();
  return encoded ? decoded(text) : text;
}

/** Decodes a header value that may be written as `=?base64?…?=`. Returns undefined if it is malformed. */
function decoded(text: string): string | undefined {
  if (!/^[\t\x20-\x7e]*$/.test(text)) return undefined;
  const inner = /^=\?base64\?(.*)\?=$/.exec(text)?.[1];
  if (inner === undefined) return text;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(inner)) return undefined;
  return Buffer.from(inner, "base64").toString("utf8");
}

function unequal(name: string): McpError {
  return mismatch(`${name} does not match the body`);
}

function mismatch(why: string): McpError {
  return new McpError(codes.headerMismatch, `Header mismatch: ${why}`, { status: 400 });
}
