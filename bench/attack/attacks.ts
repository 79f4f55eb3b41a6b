import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { frame, headerBlock, hello } from "../../test/support/http2-frames.ts";
import { keys } from "../service.ts";
import { cognigyTarget } from "../targets.ts";

/** An attack on a loopback port. The number of connections and the rate of new ones are limited. */
export interface Attack {
  readonly name: string;
  /** Description with the limits. */
  readonly description: string;
  /** Concurrent connections. */
  readonly connections: number;
  /** Pause between the end of a connection and the one that replaces it, in milliseconds. */
  readonly reconnectAfterMs: number;
  /** Uses a connection until it is closed. Undefined: the connection is closed at once. */
  attack?(socket: Socket, port: number): Promise<void>;
}

const never = (): Promise<void> => new Promise(() => {});
const head = (path: string, more = ""): string => `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${more}`;
const bearer = `authorization: Bearer ${keys.rpc}\r\n`;

/** Writes one byte at a time. */
async function drip(socket: Socket, everyMs: number): Promise<void> {
  for (; !socket.destroyed; await wait(everyMs)) socket.write("x");
}

/** Requests a long answer many times at once, and reads at a limited rate. */
async function requestLongAnswers(socket: Socket): Promise<void> {
  socket.pause();
  socket.write(`GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n${bearer}\r\n`.repeat(20));
  await Promise.race([once(socket, "close"), wait(50)]);
}

const rpc = headerBlock("/jackfield.v1.ToolExecutor/ExecuteTool", {
  "content-type": "application/grpc",
  te: "trailers",
});
const empty = Buffer.alloc(0);
const frames = {
  resets: Array.from({ length: 5000 }, (_, index) =>
    Buffer.concat([frame(1, 4, 2 * index + 1, rpc), frame(3, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8]))]),
  ),
  continuations: [
    frame(1, 0, 1, rpc),
    ...Array.from({ length: 2000 }, () => frame(9, 0, 1, headerBlock("/x", { filler: "x".repeat(100) }).subarray(10))),
  ],
  pings: Array.from({ length: 20_000 }, () => frame(6, 0, 0, Buffer.alloc(8))),
  settings: Array.from({ length: 20_000 }, () => frame(4, 0, 0, empty)),
  emptyData: [frame(1, 4, 1, rpc), ...Array.from({ length: 50_000 }, () => frame(0, 0, 1, empty))],
};

function flood(name: string, description: string, list: readonly Buffer[]): Attack {
  const bytes = Buffer.concat([hello, ...list]);
  return {
    name,
    description: `one connection after the other, two a second at most: ${description}`,
    connections: 1,
    reconnectAfterMs: 500,
    async attack(socket) {
      socket.resume().write(bytes);
      await Promise.race([once(socket, "close"), wait(2000)]);
    },
  };
}

/**
 * Not an attack: it only computes. It runs during every measurement, so that the core of the load never sleeps. Waking it takes
 * a virtual machine a millisecond, which an attacker would save the measured calls.
 */
export const keepAwake: Attack = { name: "keep awake", description: "", connections: 0, reconnectAfterMs: 0 };

export const attacks: readonly Attack[] = [
  {
    name: "slow headers",
    description: "500 connections, a byte of a header each 500 ms",
    connections: 500,
    reconnectAfterMs: 100,
    async attack(socket) {
      socket.resume().write(head("/api/v1/llm/tool-callback", "x-slow: "));
      await drip(socket, 500);
    },
  },
  {
    name: "slow bodies",
    description: "500 connections with a valid key, a byte of a body each 500 ms",
    connections: 500,
    reconnectAfterMs: 100,
    async attack(socket) {
      const key = `x-cognigy-ai-api-key: ${keys.cognigy}\r\ncontent-type: application/json\r\n`;
      socket.resume().write(head("/api/v1/llm/tool-callback", `${key}content-length: 10000\r\n\r\n{`));
      await drip(socket, 500);
    },
  },
  {
    name: "slow readers",
    description: "100 connections that ask for 20 long answers and read 1 KiB each 500 ms",
    connections: 100,
    reconnectAfterMs: 100,
    async attack(socket) {
      await requestLongAnswers(socket);
      for (; !socket.destroyed; await wait(500)) socket.read(1024);
    },
  },
  {
    name: "never reads",
    description: "100 connections that ask for 20 long answers and read nothing",
    connections: 100,
    reconnectAfterMs: 100,
    async attack(socket) {
      await requestLongAnswers(socket);
      await never();
    },
  },
  flood("rapid reset", "5,000 streams begun and reset", frames.resets),
  flood("CONTINUATION", "a header block of 2,000 frames", frames.continuations),
  flood("PING", "20,000 PING frames", frames.pings),
  flood("SETTINGS", "20,000 SETTINGS frames", frames.settings),
  flood("empty DATA", "50,000 DATA frames that hold nothing", frames.emptyData),
  {
    name: "connections",
    description: "1,000 connections a second, opened and closed",
    connections: 20,
    reconnectAfterMs: 20,
  },
  {
    name: "dead downstream",
    description: "1,000 callers of a downstream that never answers, each again 0.5 to 1.5 s after its answer",
    connections: 1000,
    reconnectAfterMs: 1000,
    async attack(socket, port) {
      const { path, headers, body } = cognigyTarget(port, "ask_dead");
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.resume();
      for (let number = Math.floor(Math.random() * 1e12); !socket.destroyed; number++) {
        const bytes = body(number);
        socket.write(`${head(path, lines.join(""))}content-length: ${bytes.length}\r\n\r\n${bytes.toString()}`);
        await once(socket, "data");
        // Callers are independent of each other. With equal pauses, answers that this process reads together would cause
        // requests that are sent together, for ever.
        await wait(500 + Math.random() * 1000);
      }
    },
  },
];

/** Attacks until the process ends. Returns a function that counts the connections made. */
export function startAttack({ connections, reconnectAfterMs, attack }: Attack, port: number): () => number {
  let count = 0;
  async function lane(): Promise<never> {
    // The connections are opened one by one.
    await wait(Math.random() * 500);
    for (;;) {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: false });
      socket.on("error", () => {});
      const opened = await once(socket, "connect").catch(() => undefined);
      if (opened !== undefined) {
        count += 1;
        const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
        if (attack !== undefined) await Promise.race([attack(socket, port).catch(() => {}), closed]);
      }
      socket.destroy();
      await wait(reconnectAfterMs);
    }
  }
  if (connections === 0) void compute();
  for (let number = 0; number < connections; number++) void lane();
  return () => count;
}

/** Uses all processor time, in pieces of a millisecond. */
async function compute(): Promise<never> {
  for (;;) {
    const until = performance.now() + 1;
    while (performance.now() < until);
    await new Promise((resolve) => void setImmediate(resolve));
  }
}
