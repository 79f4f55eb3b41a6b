import { createHmac, timingSafeEqual } from "node:crypto";
import type { Caller } from "../../auth/caller.ts";
import { isId } from "../tool-call.ts";

/** The state that a client sends back to continue waiting for an answer. */
export interface RequestState {
  readonly callId: string;
  /** Number of requests that have waited for the call so far. */
  readonly rounds: number;
}

/** Encodes and decodes `requestState`. All replicas with the same secret can decode it. */
export interface RequestStates {
  write(state: RequestState, caller: Caller, tool: string): Promise<string>;
  /** Returns undefined if the state was not issued for this caller and tool. */
  read(text: unknown, caller: Caller, tool: string): Promise<RequestState | undefined>;
}

const prefix = "jf1";

/** Creates the codec. States are signed, so that a client can refer only to calls that it was told about. */
export function createRequestStates(secret: () => Promise<string>): RequestStates {
  const signature = async (payload: string, { tenant, name }: Caller, tool: string): Promise<Buffer> =>
    createHmac("sha256", await secret())
      .update(JSON.stringify([payload, tenant, name, tool]))
      .digest();

  return {
    async write({ callId, rounds }, caller, tool) {
      const payload = Buffer.from(JSON.stringify([rounds, callId])).toString("base64url");
      return `${prefix}.${payload}.${(await signature(payload, caller, tool)).toString("base64url")}`;
    },
    async read(text, caller, tool) {
      if (typeof text !== "string") return undefined;
      const [mark, payload, signed, ...rest] = text.split(".");
      if (mark !== prefix || payload === undefined || signed === undefined || rest.length > 0) return undefined;
      // Compared as text, because the last character of base64 contains bits that decoding would drop.
      const expected = Buffer.from((await signature(payload, caller, tool)).toString("base64url"));
      const given = Buffer.from(signed);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
      const [rounds, callId] = JSON.parse(Buffer.from(payload, "base64url").toString()) as unknown[];
      return Number.isInteger(rounds) && isId(callId) ? { rounds: rounds as number, callId } : undefined;
    },
  };
}
