import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";

/** The kind of misbehaviour, and whether the back office has caused the effect before. */
export interface DownstreamTrouble {
  readonly how: "hang" | "status" | "reset";
  readonly afterEffect: boolean;
  /** One of this number of requests is affected. */
  readonly oneOf: number;
}

/** The effects of a call. */
export interface Effects {
  /** One number for each effect. */
  readonly numbers: number[];
  readonly keys: Set<string>;
}

/** A back office that counts the effects of each call, and misbehaves on demand. */
export interface SoakDownstream extends AsyncDisposable {
  readonly url: string;
  readonly effects: ReadonlyMap<string, Effects>;
  /** Starts some trouble. The returned function ends it. */
  trouble(trouble: DownstreamTrouble): () => void;
}

/** Starts the back office for the tools of `test/e2e/plugins`. */
export async function startSoakDownstream(): Promise<SoakDownstream> {
  const effects = new Map<string, Effects>();
  const answers = new Map<string, object>();
  const hanging = new Set<ServerResponse>();
  /** Effects that are in progress, by key. */
  const begun = new Map<string, Promise<object>>();
  let trouble: DownstreamTrouble | undefined;
  let requests = 0;
  let count = 0;

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const text = await textOf(incoming);
    requests += 1;
    const hit = trouble !== undefined && requests % trouble.oneOf === 0 ? trouble : undefined;
    if (hit?.afterEffect === false) return misbehave(hit, outgoing);
    const answer = await answerTo(incoming, text);
    if (hit !== undefined) return misbehave(hit, outgoing);
    outgoing.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  async function answerTo(incoming: IncomingMessage, text: string): Promise<object> {
    const { pathname, searchParams } = new URL(incoming.url ?? "/", "http://downstream");
    if (pathname === "/look") {
      await wait(Number(searchParams.get("delay")));
      return { id: searchParams.get("id") };
    }
    if (pathname === "/effects/by-key") return find(searchParams.get("key") ?? "");
    const { id, callId, delay = 0 } = JSON.parse(text) as { id: string; callId: string; delay?: number };
    const key = String(incoming.headers["idempotency-key"]);
    const work = wait(delay).then(() => {
      const known = pathname === "/effects/idempotent" ? answers.get(key) : undefined;
      return known ?? takeEffect(id, callId, key);
    });
    begun.set(key, work);
    return work.finally(() => begun.get(key) === work && begun.delete(key));
  }

  /**
   * Finds the effect of a key, when all requests that arrived before this one are done: the answer must not be `null` for a
   * request that waits on another connection. A machine that stalls for seconds reads them all at once.
   */
  async function find(key: string): Promise<object> {
    for (let turns = 0; turns < 20; turns++) await turn();
    await begun.get(key);
    return { found: answers.get(key) ?? null };
  }

  function takeEffect(id: string, callId: string, key: string): object {
    count += 1;
    const of = effects.get(callId) ?? { numbers: [], keys: new Set() };
    of.numbers.push(count);
    of.keys.add(key);
    effects.set(callId, of);
    const answer = { id, number: count };
    answers.set(key, answer);
    return answer;
  }

  function misbehave({ how }: DownstreamTrouble, outgoing: ServerResponse): void {
    if (how === "hang") hanging.add(outgoing);
    else if (how === "reset") outgoing.socket?.resetAndDestroy();
    else outgoing.writeHead(503, { "content-type": "application/json" }).end('{"error":"out of order"}');
  }

  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing).catch(() => outgoing.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    effects,
    trouble(next) {
      trouble = next;
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

/** Reads the body of a request. */
export async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
