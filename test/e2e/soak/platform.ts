import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { outputsFrom } from "../../../src/cli/sim/history.ts";
import { textOf } from "./downstream.ts";

/**
 * The misbehaviour of the platform: it refuses deliveries with a status, never answers them, accepts them and breaks the
 * connection, or withdraws all tokens and grants no new ones.
 */
export type PlatformTrouble = "500" | "429" | "hang" | "cut" | "token";

/** The deliveries of one job. */
export interface Delivered {
  readonly runId: string;
  readonly outputs: readonly { readonly id: string; readonly output: string }[];
  readonly digest: string;
  tries: number;
  taken: number;
  /** Whether a later try had another run or body. */
  differs: boolean;
}

/** A Genesys platform that receives deliveries, and misbehaves on demand. */
export interface SoakPlatform extends AsyncDisposable {
  readonly url: string;
  /** By job. */
  readonly deliveries: ReadonlyMap<string, Delivered>;
  /** Starts some trouble. The returned function ends it. */
  trouble(trouble: PlatformTrouble): () => void;
}

const deliveryPath = /^\/api\/v2\/ai\/assistants\/runs\/([^/]+)\/tool_calls$/;

/** Starts the platform. */
export async function startSoakPlatform(): Promise<SoakPlatform> {
  const deliveries = new Map<string, Delivered>();
  const hanging = new Set<ServerResponse>();
  const valid = new Set<string>();
  let tokens = 0;
  let trouble: PlatformTrouble | undefined;

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const text = await textOf(incoming);
    const runId = deliveryPath.exec(incoming.url ?? "")?.[1];
    if (runId === undefined) return giveToken(outgoing);
    if (!valid.has(String(incoming.headers.authorization))) return answer(outgoing, 401, { message: "No valid token" });
    const delivery = received(String(incoming.headers["idempotency-key"]), decodeURIComponent(runId), text);
    if (trouble === "hang") return void hanging.add(outgoing);
    if (trouble === "500") return answer(outgoing, 500, { message: "Out of order" });
    if (trouble === "429") return answer(outgoing, 429, { message: "Rate limit exceeded" }, { "retry-after": "1" });
    delivery.taken += 1;
    if (trouble === "cut") return void outgoing.socket?.resetAndDestroy();
    answer(outgoing, 200, { run_id: delivery.runId });
  }

  function received(jobId: string, runId: string, body: string): Delivered {
    const digest = createHash("sha256").update(body).digest("base64url");
    const known = deliveries.get(jobId);
    if (known === undefined) {
      const first = { runId, outputs: outputsFrom(body), digest, tries: 1, taken: 0, differs: false };
      deliveries.set(jobId, first);
      return first;
    }
    known.tries += 1;
    known.differs ||= known.runId !== runId || known.digest !== digest;
    return known;
  }

  function giveToken(outgoing: ServerResponse): void {
    if (trouble === "token") return answer(outgoing, 503, { error: "temporarily_unavailable" });
    tokens += 1;
    valid.add(`Bearer token-${tokens}`);
    answer(outgoing, 200, { access_token: `token-${tokens}`, token_type: "Bearer", expires_in: 86_400 });
  }

  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing).catch(() => outgoing.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    deliveries,
    trouble(next) {
      trouble = next;
      if (next === "token") valid.clear();
      return () => {
        trouble = undefined;
        for (const outgoing of hanging) outgoing.destroy();
        hanging.clear();
      };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function answer(outgoing: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  outgoing.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}
