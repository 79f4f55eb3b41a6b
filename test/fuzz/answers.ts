import { expect } from "vitest";
import type { FuzzAnswer } from "./exchange.ts";

/** The error of a JSON route: `{"error":"…"}`, and nothing that is the service's own fault. */
export function expectErrorJson({ status, text, headers }: FuzzAnswer): void {
  expect(status, text).toBeGreaterThanOrEqual(400);
  expect(Object.keys(json(text)), text).toEqual(["error"]);
  expect(typeof json(text)["error"], text).toBe("string");
  expect(headers.get("content-type")).toMatch(/^application\/json/);
  expectNotOurFault(status, text);
}

/** No 5xx but those of the contract: an overload that says so, and what is not implemented. */
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

/** Data of the events of a stream, in their order. */
export function eventsOf(text: string): { event: string; data: string }[] {
  return text
    .split("\n\n")
    .filter((block) => /^data:/m.test(block))
    .map((block) => ({
      event: /^event: ?(.*)$/m.exec(block)?.[1] ?? "message",
      data: [...block.matchAll(/^data: ?(.*)$/gm)].map(([, line]) => line).join("\n"),
    }));
}

/** Codes of RPC errors that speak of the caller's request or of the service's load, never of a fault of its own. */
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

/** An error as Connect writes it. */
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
