import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "../../sandbox/random.ts";
import { drawFault, type FaultName, type FaultPlan } from "./fault-plan.ts";

/** One received delivery and its answer. */
export interface ReceivedDelivery {
  readonly runId: string;
  /** Its `Idempotency-Key`; empty if it had none. */
  readonly key: string;
  /** The body, byte for byte. */
  readonly body: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** The answered status. With `cut`, the sender has not seen it. */
  readonly status: number;
  readonly fault: FaultName | undefined;
}

/** Options of a receiver. */
export interface ReceiverOptions {
  readonly host?: string;
  /** 0 selects a free port. */
  readonly port: number;
  readonly faults: FaultPlan;
  readonly random: Random;
  readonly onDelivery: (delivery: ReceivedDelivery) => void;
  /** Delay of `slow` in milliseconds; 3000 by default. */
  readonly slowMs?: number;
  /** Pause in seconds that `429` requests; 1 by default. */
  readonly retryAfterSeconds?: number;
}

/** A simulated Genesys platform that receives token requests and deliveries. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  /** Number of fetched tokens. */
  readonly tokens: number;
  /** Replaces the plan of faults. */
  plan(faults: FaultPlan): void;
}

const deliveryPath = /^\/api\/v2\/ai\/assistants\/runs\/([^/]+)\/tool_calls$/;

/** Starts the receiver. Rejects if it cannot listen on the port. */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { random, onDelivery, slowMs = 3000, retryAfterSeconds = 1 } = options;
  const closing = new AbortController();
  const refreshing = new Set<string>();
  let faults = options.faults;
  let tokens = 0;

  /** A 401 affects a delivery once: the next attempt, with a new token, is accepted. */
  function faultOf(key: string): FaultName | undefined {
    if (refreshing.delete(key)) return undefined;
    const drawn = drawFault(faults, random);
    if (drawn === "401") refreshing.add(key);
    return drawn;
  }

  async function receive(incoming: IncomingMessage, outgoing: ServerResponse, runId: string): Promise<void> {
    const body = await textOf(incoming);
    const key = String(incoming.headers["idempotency-key"] ?? "");
    if (!/^bearer sim-token-\d+$/i.test(incoming.headers.authorization ?? ""))
      return answer(outgoing, 401, { message: "No valid token" });
    const fault = faultOf(key);
    const status = fault === undefined || fault === "slow" || fault === "cut" ? 200 : Number.parseInt(fault, 10);
    onDelivery({ runId, key, body, at: Date.now(), status, fault });
    if (fault === "slow") await wait(slowMs, undefined, { signal: closing.signal });
    if (fault === "cut") return cut(outgoing);
    if (status !== 429)
      return answer(outgoing, status, status === 200 ? { run_id: runId } : { message: `Simulated ${status}` });
    const after =
      fault === "429" ? String(retryAfterSeconds) : new Date(Date.now() + retryAfterSeconds * 1000).toUTCString();
    answer(outgoing, status, { message: "Rate limit exceeded" }, { "retry-after": after });
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = (incoming.url ?? "/").split("?", 1)[0] ?? "/";
    const run = deliveryPath.exec(path)?.[1];
    if (incoming.method === "POST" && run !== undefined) return receive(incoming, outgoing, decodeURIComponent(run));
    if (incoming.method !== "POST" || path !== "/oauth/token") return answer(outgoing, 404, { message: "Not found" });
    await textOf(incoming);
    tokens += 1;
    answer(outgoing, 200, { access_token: `sim-token-${tokens}`, token_type: "bearer", expires_in: 86_400 });
  }

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host ?? "127.0.0.1", resolve);
  });
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${port}`,
    get tokens() {
      return tokens;
    },
    plan: (next) => void (faults = next),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(outgoing: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  outgoing.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** Announces a longer body than it sends, then breaks the connection. */
function cut(outgoing: ServerResponse): void {
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  outgoing.write('{"run_id":', () => outgoing.destroy());
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
