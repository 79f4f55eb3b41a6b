import { createHmac, timingSafeEqual } from "node:crypto";
import type { Caller } from "../../auth/caller.ts";
import { isId } from "../tool-call.ts";

/** What a client sends back to wait on for an answer. */
export interface RequestState {
  readonly callId: string;
  /** How many requests have waited for the call already. */
  readonly rounds: number;
}

/** Writes and reads `requestState`. Every replica with the same secret reads what another one wrote. */
export interface RequestStates {
  write(state: RequestState, caller: Caller, tool: string): Promise<string>;
  /** Undefined for a state that was not written for this caller and tool. */
  read(text: unknown, caller: Caller, tool: string): Promise<RequestState | undefined>;
}

const prefix = "jf1";

/** Makes the states: signed, so that a client can name no other call than the one it was told of. */
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
      // Compared as text: the last character of base64 holds bits that decoding would drop.
      const expected = Buffer.from((await signature(payload, caller, tool)).toString("base64url"));
      const given = Buffer.from(signed);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
      const state: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
      if (!Array.isArray(state)) return undefined;
      const [rounds, callId] = state as unknown[];
      return Number.isInteger(rounds) && isId(callId) ? { rounds: rounds as number, callId } : undefined;
    },
  };
}
