import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The handling of connections: passes bytes on, refuses, accepts without an answer, or answers itself. */
export type ProxyMode = "pass" | "refuse" | "silent" | { answer: Buffer | string };

/** A TCP proxy in front of a server, which can simulate failures of the network. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** The handling of new connections. */
  mode: ProxyMode;
  /** Keeps open connections, but drops all data in both directions. */
  blackhole(): void;
  /** Closes all open connections. */
  cut(): void;
}

/** Starts a proxy on a free loopback port. */
export async function startTcpProxy(targetPort: number, mode: ProxyMode = "pass"): Promise<TcpProxy> {
  const pairs = new Set<{ sockets: Socket[]; lost: boolean }>();
  const server = createServer((client) => {
    client.on("error", () => {});
    const { mode: now } = proxy;
    if (now === "refuse") return void client.destroy();
    const pair = { sockets: [client], lost: now !== "pass" };
    pairs.add(pair);
    if (now === "silent") return;
    if (typeof now === "object") return void client.on("data", () => client.write(now.answer));
    const target = connect(targetPort, "127.0.0.1");
    pair.sockets.push(target);
    const end = (): void => {
      if (pair.lost) return;
      pairs.delete(pair);
      for (const socket of pair.sockets) socket.destroy();
    };
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on("error", end);
      from.on("close", end);
      from.on("data", (bytes) => void (pair.lost || to.write(bytes)));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const { sockets } of pairs) for (const socket of sockets) socket.destroy();
    pairs.clear();
  };
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    mode,
    blackhole: () => {
      for (const pair of pairs) pair.lost = true;
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}
