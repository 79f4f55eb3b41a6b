import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { onCore } from "../cores.ts";
import { root } from "../program.ts";
import { type Bench, load, ratio, record, type Row, type Side } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { acceptTarget } from "../targets.ts";

/** Accepted on Redis with AOF, against a bare BullMQ `add` of the same job. */
export const redis: Row = {
  name: "redis",
  title: "accepted on Redis",
  async run(bench) {
    if (spawnSync("redis-server", ["--version"]).status !== 0) {
      return { unit: "jobs/s", sides: [], ratios: [], notes: ["not measured: redis-server is not installed here"] };
    }
    const queue: Side = { name: "Jackfield's queue", values: [], cpuMicros: [] };
    const bare: Side = { name: "bare BullMQ add", values: [], cpuMicros: [] };
    const webhook: Side = { name: "webhook, 202 after Redis acknowledged", values: [], cpuMicros: [] };
    const notes = new Set([
      "redis-server of its own with AOF (`appendfsync everysec`) and `noeviction`, beside the load on core 1",
      "queue and bare add: 64 in flight, no HTTP; the webhook: HTTP, keys, translation, execution and delivery too",
    ]);
    for (let round = 0; round < bench.rounds; round++) {
      for (const [side, queueName] of [
        [queue, "jackfield"],
        [bare, "bullmq"],
      ] as const) {
        await using server = await startRedis(bench);
        const { perSecond, cpuMicros } = enqueue(bench, queueName, server.url);
        record(bench, side, { perSecond, cpuMicros, bad: 0, serverBusy: 1 }, notes);
      }
      await using server = await startRedis(bench);
      using folder = scratchFolder();
      await using service = await startService({
        core: bench.cores.server,
        folder: folder.path,
        sink: bench.sink,
        engineUrl: server.url,
      });
      record(bench, webhook, await load(bench, service, acceptTarget(service.port)), notes);
    }
    const sides = [queue, bare, webhook];
    return {
      unit: "jobs/s",
      sides,
      ratios: [ratio(sides, queue.name, bare.name, 0.7), ratio(sides, webhook.name, bare.name)],
      notes: [...notes],
    };
  },
};

function enqueue(
  { cores, seconds, warmSeconds }: Bench,
  what: string,
  url: string,
): { perSecond: number; cpuMicros: number } {
  const node = [
    process.execPath,
    "--conditions=@jackfield/source",
    "bench/enqueue.ts",
    what,
    url,
    String(warmSeconds),
    String(seconds),
  ];
  const [command, ...args] = onCore(cores.server, node);
  return JSON.parse(execFileSync(command, args, { cwd: root, encoding: "utf8" })) as {
    perSecond: number;
    cpuMicros: number;
  };
}

async function startRedis({ cores }: Bench): Promise<{ url: string } & AsyncDisposable> {
  const folder = scratchFolder();
  const port = await freePort();
  const settings = ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", "", "--dir", folder.path];
  const [command, ...args] = onCore(cores.load, [
    "redis-server",
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    ...settings,
  ]);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const chunk of child.stdout) if (String(chunk).includes("Ready to accept connections")) break;
  return {
    url: `redis://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
      folder[Symbol.dispose]();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
