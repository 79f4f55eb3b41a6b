import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "../../../src/sandbox/random.ts";
import { type Call, type Door, type Reply, UnexpectedAnswer } from "./doors.ts";
import type { History } from "./history.ts";

/** Numbers of requests through one entry point. */
export interface Sent {
  /** Requests, repeats included. */
  requests: number;
  /** Answers except 5xx. */
  answered: number;
  refused: number;
  /** Requests whose connection broke, or that took too long. */
  cut: number;
}

/** A steady rate of requests, each repeated until it has an answer. */
export interface Load {
  readonly sent: ReadonlyMap<Door["name"], Sent>;
  readonly requests: number;
  /** Requests that wait for their final answer. */
  readonly open: number;
  /** Starts no new requests. Resolves when all open ones are answered or given up. */
  finish(): Promise<void>;
}

/** Maximum time for which a caller repeats a call, in milliseconds; less than calls are remembered. */
export const repeatForMs = 60_000;

/** Maximum delay of a repeat of an answered call, in milliseconds. */
const maxRepeatMs = 20_000;

/** Maximum number of open requests. Beyond it the load waits, as a platform does. */
const maxOpen = 400;

const tools = ["look", "look", "set", "put", "put", "put_known", "put_known"] as const;

/** Starts to send. One request in eight is sent twice: at once, or later. */
export function startLoad(options: {
  readonly doors: readonly Door[];
  readonly random: Random;
  /** New requests a second. */
  readonly rate: number;
  readonly history: History;
}): Load {
  const { doors, random, rate, history } = options;
  const sent = new Map(doors.map(({ name }) => [name, { requests: 0, answered: 0, refused: 0, cut: 0 }]));
  const open = new Set<Promise<void>>();
  const finishing = new AbortController();
  let requests = 0;

  async function attempt(door: Door, id: string, calls: readonly [Call, ...Call[]]): Promise<Reply> {
    const count = sent.get(door.name)!;
    count.requests += 1;
    requests += 1;
    try {
      const reply = await door.send(id, calls);
      count[reply.kind === "refused" ? "refused" : "answered"] += 1;
      return reply;
    } catch (error) {
      if (error instanceof UnexpectedAnswer) history.unanswered(id, error.message);
      count.cut += 1;
      return { kind: "refused", text: String(error) };
    }
  }

  /** Records an answer. Returns whether it is final. */
  function note(reply: Reply, id: string, calls: readonly Call[]): boolean {
    if (reply.kind === "refused") return false;
    if (reply.kind === "accepted") {
      history.acknowledged(id, reply.jobId, calls);
      return true;
    }
    for (const [index, call] of calls.entries()) {
      const answer = reply.answers[index];
      if (answer !== undefined) history.answered(call, answer);
    }
    return reply.answers.length === calls.length && reply.answers.every(({ kind }) => kind !== "again");
  }

  async function repeatUntilAnswered(door: Door, id: string, calls: readonly [Call, ...Call[]]): Promise<void> {
    const end = performance.now() + repeatForMs;
    for (;;) {
      const reply = await attempt(door, id, calls);
      if (note(reply, id, calls)) return;
      if (performance.now() > end) return history.unanswered(id, JSON.stringify(reply));
      await wait(random.between(300, 1500));
    }
  }

  async function sendOne(number: number): Promise<void> {
    const door = drawDoor(doors, random);
    const id = `${door.name}-${number}`;
    const makeCall = (index: number): Call => ({
      id: `${id}.${index}`,
      tool: random.pick(tools),
      arguments: { id: `${id}.${index}`, delay: random.between(0, 60) },
    });
    const rest = Array.from({ length: random.between(1, door.batch) - 1 }, (_, index) => makeCall(index + 1));
    const calls: [Call, ...Call[]] = [makeCall(0), ...rest];
    const repeat = random.between(1, 16);
    if (repeat === 1) await Promise.all([repeatUntilAnswered(door, id, calls), repeatUntilAnswered(door, id, calls)]);
    else await repeatUntilAnswered(door, id, calls);
    if (repeat !== 2) return;
    await wait(random.between(0, maxRepeatMs), undefined, { signal: finishing.signal }).catch(() => {});
    await repeatUntilAnswered(door, id, calls);
  }

  const sending = (async () => {
    const startedAt = performance.now();
    for (let number = 1; !finishing.signal.aborted; number += 1) {
      await wait(Math.max(0, startedAt + (number * 1000) / rate - performance.now()));
      while (open.size >= maxOpen) await Promise.race(open);
      const one: Promise<void> = sendOne(number).finally(() => open.delete(one));
      open.add(one);
    }
  })();

  return {
    sent,
    get requests() {
      return requests;
    },
    get open() {
      return open.size;
    },
    async finish() {
      finishing.abort();
      await sending;
      await Promise.all(open);
    },
  };
}

function drawDoor(doors: readonly Door[], random: Random): Door {
  let drawn = random.between(
    1,
    doors.reduce((sum, { share }) => sum + share, 0),
  );
  for (const door of doors) {
    drawn -= door.share;
    if (drawn <= 0) return door;
  }
  throw new Error("there is no door");
}
