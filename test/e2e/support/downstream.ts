import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { EffectRequest } from "../../../src/cli/sim/history.ts";

/** A back office that records every request that changes something. */
export interface Downstream extends AsyncDisposable {
  readonly url: string;
  /** Requests that took effect, or repeated a known key, in order of arrival. */
  readonly requests: readonly EffectRequest[];
  /** Effects of `idempotent` requests by key: a repeated key has none. */
  readonly idempotent: ReadonlyMap<string, string>;
  /** Requests in progress. */
  readonly busy: number;
  readonly looks: number;
  /** Complete requests that wait since `hold`. */
  readonly waiting: number;
  /** Makes every request wait until the returned function is called. */
  hold(): () => void;
  /** Like `hold`, but only for reads. */
  holdLooks(): () => void;
}

/**
 * Starts the back office: `GET /look`, `POST /effects/idempotent`, `POST /effects/write`, `GET /effects/by-key`. An effect
 * takes place half-way through its delay: a client that dies before may or may not have caused it.
 */
export async function startDownstream(): Promise<Downstream> {
  const requests: EffectRequest[] = [];
  const idempotent = new Map<string, string>();
  const answers = new Map<string, object>();
  let busy = 0;
  let looks = 0;
  let held = 0;
  let gate = Promise.resolve();
  let lookGate = Promise.resolve();

  async function change(effect: "idempotent" | "write", incoming: IncomingMessage): Promise<object> {
    const {
      id,
      delay = 0,
      callId,
    } = JSON.parse(await textOf(incoming)) as { id: string; delay?: number; callId: string };
    const key = String(incoming.headers["idempotency-key"] ?? "");
    held += 1;
    await gate;
    held -= 1;
    await wait(delay / 2);
    requests.push({ effect, callId, key });
    const known = effect === "idempotent" ? answers.get(key) : undefined;
    const answer = known ?? { id, number: requests.length };
    answers.set(key, answer);
    if (effect === "idempotent") idempotent.set(key, callId);
    await wait(delay / 2);
    return answer;
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? "/", "http://downstream");
    busy += 1;
    try {
      let answer: object;
      if (url.pathname === "/look") {
        looks += 1;
        await Promise.all([gate, lookGate]);
        await wait(Number(url.searchParams.get("delay") ?? 0));
        answer = { id: url.searchParams.get("id") };
      } else if (url.pathname === "/effects/by-key") {
        answer = { found: answers.get(url.searchParams.get("key") ?? "") ?? null };
      } else answer = await change(url.pathname === "/effects/idempotent" ? "idempotent" : "write", incoming);
      outgoing.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    } finally {
      busy -= 1;
    }
  }

  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing).catch(() => outgoing.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    idempotent,
    get busy() {
      return busy;
    },
    get looks() {
      return looks;
    },
    get waiting() {
      return held;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    holdLooks() {
      const { promise, resolve } = Promise.withResolvers<void>();
      lookGate = promise;
      return resolve;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
