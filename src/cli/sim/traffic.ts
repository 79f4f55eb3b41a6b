import type { Random } from "../../sandbox/random.ts";
import { happens } from "./chance.ts";

/** The simulated entry points. */
export const entryPoints = ["runs", "gateway", "callbacks"] as const;

/** An entry point: the AI Gateway's runs, the LLM Gateway's stream, or Cognigy's callbacks. */
export type EntryPoint = (typeof entryPoints)[number];

/** A call for the generated traffic. */
export interface SampleCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** One request to send. The same object again is a repeat of it. */
export interface Shot {
  readonly entryPoint: EntryPoint;
  /** Id of the batch or call; a repeat has the same one. */
  readonly id: string;
  readonly path: string;
  readonly body: string;
  readonly callIds: readonly string[];
  readonly malformed: boolean;
}

/** Options of the generated traffic. Shares are probabilities from 0 to 1. */
export interface TrafficOptions {
  /** Number of requests, including repeats. */
  readonly total: number;
  /** Weight of each entry point. */
  readonly mix: Readonly<Record<EntryPoint, number>>;
  /** Share of requests that are sent twice: immediately, out of order, or late. */
  readonly duplicates: number;
  readonly malformed: number;
  readonly calls: readonly [SampleCall, ...SampleCall[]];
  /** Maximum number of calls in a batch. */
  readonly batch: number;
  readonly random: Random;
  /** Part of every id, so that two simulations do not repeat each other's calls. */
  readonly prefix: string;
}

/** Maximum distance of a repeat, in requests. */
const maxRepeatDistance = 300;

/** Generates the requests in sending order. Equal random numbers yield equal requests. */
export function* createTraffic(options: TrafficOptions): Generator<Shot, void> {
  const { total, duplicates, malformed, random } = options;
  const repeats: { readonly due: number; readonly shot: Shot }[] = [];
  for (let sent = 0; sent < total; sent += 1) {
    const due = repeats.findIndex((repeat) => repeat.due <= sent);
    if (due >= 0) {
      yield repeats.splice(due, 1)[0]!.shot;
      continue;
    }
    const shot = createShot(options, `${options.prefix}-${sent}`, happens(random, malformed));
    yield shot;
    // Half of the repeats follow immediately, the others after many other requests.
    if (happens(random, duplicates)) {
      repeats.push({ due: sent + (happens(random, 0.5) ? 1 : random.between(2, maxRepeatDistance)), shot });
    }
  }
}

function createShot(options: TrafficOptions, id: string, malformed: boolean): Shot {
  const { random, calls, batch } = options;
  const entryPoint = entryPointFrom(options);
  const count = entryPoint === "callbacks" ? 1 : random.between(1, batch);
  const chosen = Array.from({ length: count }, (_, index) => ({
    id: `${id}-${index}`,
    call: random.pick(calls as [SampleCall, ...SampleCall[]]),
  }));
  const about = { entryPoint, id, malformed, callIds: chosen.map((one) => one.id) };
  const list = chosen.map(({ id: callId, call }) => ({
    id: callId,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.arguments) },
  }));
  if (entryPoint === "runs") {
    const body = { run_id: `run-${id}`, tool_calls: malformed ? malformedList(list, random) : list };
    return { ...about, path: "/webhook/tool-calls", body: JSON.stringify(body) };
  }
  if (entryPoint === "gateway") {
    const body = { conversation_id: `conversation-${id}`, tool_calls: malformed ? malformedList(list, random) : list };
    return { ...about, path: "/llm-gateway/tools", body: JSON.stringify(body) };
  }
  const [only] = chosen;
  const body = {
    ...(!malformed && { tool_call_id: only!.id }),
    name: only!.call.name,
    arguments: only!.call.arguments,
  };
  return { ...about, path: "/api/v1/llm/tool-callback", body: JSON.stringify(body) };
}

function entryPointFrom({ mix, random }: TrafficOptions): EntryPoint {
  let drawn =
    (random.between(0, 999_999) / 1_000_000) * entryPoints.reduce((sum, entryPoint) => sum + mix[entryPoint], 0);
  for (const entryPoint of entryPoints) {
    drawn -= mix[entryPoint];
    if (drawn < 0) return entryPoint;
  }
  return "runs";
}

/** Returns a list of calls that is invalid in a random way. */
function malformedList(list: readonly object[], random: Random): unknown {
  return random.pick<unknown>([undefined, [], {}, "calls", [null], [{ id: "x", type: "function" }], [...list, {}]]);
}
