// `npm run attack`: p99 of ordinary calls during attacks on the port, compared with the p99 without. Loopback only; takes about
// five minutes. `npm run attack -- "slow bodies" PING`: these attacks.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { chooseCores } from "../cores.ts";
import { createNumbers } from "../load/load.ts";
import { root, startProgram } from "../program.ts";
import { loadNow } from "../report.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget } from "../targets.ts";
import { type Attack, attacks, keepAwake } from "./attacks.ts";
import { steadyCalls, type SteadyResult } from "./steady.ts";

/** Maximum ratio of the p99 under attack to the p99 without. */
const goal = 2;
/** Measurements of each kind per attack, alternating. The smallest p99 counts, because other programs only add to it. */
const rounds = 4;
const calls = { connections: 32, perSecond: 250, seconds: 2, number: createNumbers() };

const names = process.argv.slice(2);
const unknown = names.filter((name) => !attacks.some((attack) => attack.name === name));
if (unknown.length > 0) {
  console.log(`Usage: npm run attack -- [ATTACK…]\nAttacks: ${attacks.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const cores = chooseCores();
console.log(`${cores.description}; ${preferOwn()}; load average ${loadNow().toFixed(2)}`);
console.log(`${calls.perSecond} Cognigy callbacks a second over ${calls.connections} connections; p99 in milliseconds`);
using folder = scratchFolder();
const dead = createServer(() => {}).listen(0, "127.0.0.1");
await once(dead, "listening");
dead.unref();
const baseUrl = `http://127.0.0.1:${(dead.address() as AddressInfo).port}`;
await using sink = await startProgram("bench/peers/sink.ts", { core: cores.load });
await using service = await startService({
  core: cores.server,
  folder: folder.path,
  sink: `http://127.0.0.1:${sink.port}`,
  plugins: [
    join(root, "bench/plugins/read.ts"),
    { use: join(root, "bench/plugins/dead.ts"), config: { baseUrl }, limits: { concurrency: 64, queue: 128 } },
  ],
});
const target = cognigyTarget(service.port);

/** Starts an attack with a lower priority than the measured calls: it gets the core whenever they do not need it. */
async function startAttacker({ name }: Attack) {
  const child = fork(join(root, "bench/attack/attacker.ts"), [name, String(service.port)], { cwd: root });
  setPriority(child.pid!, 19);
  await once(child, "message");
  await wait(500);
  return {
    async stop(): Promise<number> {
      const counted = once(child, "message");
      child.send("count");
      const [count] = (await counted) as [number];
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
      return count;
    },
  };
}

/** Raises the priority of this process and its children over other programs of the machine, if permitted. */
function preferOwn(): string {
  try {
    setPriority(-15);
    return "service and calls before other programs";
  } catch {
    return "other programs count: not allowed to go before them";
  }
}

const p99 = ({ latencies }: SteadyResult): number => latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;

/** Makes the calls, and measures the share of a core that the service uses meanwhile. */
async function measure(): Promise<{ p99: number; bad: number; busy: number }> {
  const cpu = service.cpuSeconds();
  const from = performance.now();
  const made = await steadyCalls(target, calls);
  return { p99: p99(made), bad: made.bad, busy: (service.cpuSeconds() - cpu) / ((performance.now() - from) / 1000) };
}

const minP99 = (measured: readonly { p99: number }[]): number => Math.min(...measured.map((one) => one.p99));
const percent = (measured: readonly { busy: number }[]): string =>
  `${Math.round((100 * measured.reduce((sum, { busy }) => sum + busy, 0)) / measured.length)} %`;

await steadyCalls(target, { ...calls, perSecond: 2000, seconds: 3 });
const awake = await startAttacker(keepAwake);
console.log(
  "| attack | p99 quiet | p99 attacked | ratio | core quiet | core attacked | connections made | calls lost |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
let missed = 0;
for (const attack of attacks.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const quiet: Awaited<ReturnType<typeof measure>>[] = [];
  const attacked: typeof quiet = [];
  let made = 0;
  for (let round = 0; round < rounds; round++) {
    quiet.push(await measure());
    const attacker = await startAttacker(attack);
    attacked.push(await measure());
    made += await attacker.stop();
    await wait(300);
  }
  const ratio = minP99(attacked) / minP99(quiet);
  const bad = attacked.reduce((sum, one) => sum + one.bad, 0);
  const isMet = ratio <= goal && bad === 0;
  if (!isMet) missed += 1;
  const times = [
    minP99(quiet).toFixed(2),
    minP99(attacked).toFixed(2),
    `${ratio.toFixed(2)}${isMet ? "" : " (missed)"}`,
  ];
  console.log(`| ${[attack.name, ...times, percent(quiet), percent(attacked), made, bad].join(" | ")} |`);
}
for (const { name, description } of attacks) console.log(`- ${name}: ${description}`);
await awake.stop();
dead.close();
process.exitCode = missed === 0 ? 0 : 2;
