import { expect } from "vitest";
import type { FuzzAnswer } from "./exchange.ts";

/** Expects the error of a JSON route: `{"error":"…"}`, and no error of the service itself. */
export function expectErrorJson({ status, text, headers }: FuzzAnswer): void {
  expect(status, text).toBeGreaterThanOrEqual(400);
  expect(Object.keys(json(text)), text).toEqual(["error"]);
  expect(typeof json(text)["error"], text).toBe("string");
  expect(headers.get("content-type")).toMatch(/^application\/json/);
  expectNotOurFault(status, text);
}

/** Expects no 5xx except those of the contract: a reported overload, and unimplemented methods. */
export function expectNotOurFault(status: number, text: string): void {
  if (status === 503) expect(text).toMatch(/limit reached|busy|draining/);
  else if (status === 501) expect(text).toContain("unimplemented");
  // The caller's own deadline, in its header.
  else if (status === 504) expect(text).toContain("deadline_exceeded");
  else expect(status, text).toBeLessThan(500);
}

/** Parses an object. */
export function json(text: string): Record<string, unknown> {
  const value = JSON.parse(text) as unknown;
  expect(value, text).toBeTypeOf("object");
  expect(Array.isArray(value) || value === null, text).toBe(false);
  return value as Record<string, unknown>;
}

/** Returns the events of a stream, in order. Only line feeds end a line: U+2028, for example, may be part of one. */
export function eventsOf(text: string): { event: string; data: string }[] {
  return text
    .split("\n\n")
    .map((block) => block.split("\n"))
    .filter((lines) => lines.some((line) => line.startsWith("data:")))
    .map((lines) => ({
      event: valuesOf("event", lines)[0] ?? "message",
      data: valuesOf("data", lines).join("\n"),
    }));
}

function valuesOf(field: string, lines: readonly string[]): string[] {
  return lines
    .filter((line) => line.startsWith(`${field}:`))
    .map((line) => line.slice(field.length + 1).replace(/^ /, ""));
}

/** Codes of RPC errors that are about the caller's request or the service's load, not about an error of its own. */
const callersCodes = new Set([
  "canceled",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "unimplemented",
  "unavailable",
  "unauthenticated",
]);

/** Expects an error in Connect's format. */
export function expectConnectError(error: Record<string, unknown>): void {
  expect(callersCodes, JSON.stringify(error)).toContain(error["code"]);
  if (error["message"] !== undefined) expect(error["message"]).toBeTypeOf("string");
}

/** Numbers of the same codes in gRPC; 0 is success. */
export const grpcStatuses: ReadonlySet<string> = new Set([
  "0",
  "1",
  "3",
  "4",
  "5",
  "6",
  "7",
  "8",
  "9",
  "12",
  "14",
  "16",
]);
