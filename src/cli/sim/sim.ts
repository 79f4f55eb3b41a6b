import { once } from "node:events";
import { type Command, InvalidArgumentError } from "commander";
import { createRandom } from "../../sandbox/random.ts";
import { CliError, exit } from "../exit.ts";
import type { AddCommand, Session } from "../session.ts";
import { type FaultPlan, faultNames, faultPlanFrom } from "./fault-plan.ts";
import { deliveredElsewhere, reportLines } from "./print-report.ts";
import { type Receiver, startReceiver } from "./receiver.ts";
import { sampleCallFrom, sampleCalls } from "./sample-calls.ts";
import { simulate } from "./simulate.ts";
import type { EntryPoint, SampleCall } from "./traffic.ts";

interface ReceiveFlags {
  readonly host: string;
  readonly port: number;
  readonly faults: FaultPlan;
  readonly seed: string;
}

interface RunFlags extends ReceiveFlags {
  readonly receive: boolean;
  readonly total: number;
  readonly rate: number;
  readonly concurrency: number;
  readonly mix: Readonly<Record<EntryPoint, number>>;
  readonly duplicates: number;
  readonly malformed: number;
  readonly batch: number;
  readonly call?: readonly SampleCall[];
  readonly settle: number;
  readonly genesysKey?: string;
  readonly cognigyKey?: string;
}

/** `jackfield sim`: simulates the platforms, with and without faults. */
export const addSim: AddCommand = (program, open) => {
  const sim = program
    .command("sim")
    .description(
      "Simulate Genesys and Cognigy: send traffic, receive deliveries, and report whether every promise was kept.",
    )
    .addHelpText(
      "after",
      `
The service must deliver here: start it with GENESYS_API_BASE_URL=http://127.0.0.1:9090 GENESYS_CLIENT_ID=sim
GENESYS_CLIENT_SECRET=sim. Faults of deliveries: ${faultNames.join(", ")}.
Exit code 2 where a promise was broken.

Examples:
  jackfield sim --total 500                                         a quick look
  jackfield sim --faults 429=0.1,429-date=0.05,401=0.02,cut=0.05    a platform on a bad day
  jackfield sim --mix callbacks=1 --call 'get_weather={"location":"London"}' --no-receive
  jackfield sim --rate 200 --total 20000 --seed tuesday --json | jq .faults
  jackfield sim receive --port 9090                                 only take what is delivered
`,
    );
  receiving(sim.command("run", { isDefault: true }).description("Send traffic and receive deliveries."))
    .option("--no-receive", "only send")
    .option("--total <N>", "number of requests, repeats included", wholeNumber(1), 1000)
    .option("--rate <N>", "requests per second; 0: as fast as they are answered", wholeNumber(0), 0)
    .option("--concurrency <N>", "concurrent requests", wholeNumber(1), 16)
    .option("--mix <WAY=WEIGHT,...>", "weights of runs, gateway and callbacks", mixFrom, {
      runs: 6,
      gateway: 2,
      callbacks: 2,
    })
    .option("--duplicates <SHARE>", "share of requests that are repeated: at once, out of order, late", share, 0.1)
    .option("--malformed <SHARE>", "share of requests with an invalid payload", share, 0.02)
    .option("--batch <N>", "maximum number of calls in one run or gateway request", wholeNumber(1), 3)
    .option(
      "--call <NAME=JSON>",
      "a call to choose from, instead of those of the bundled tools; may be repeated",
      addCall,
    )
    .option("--settle <SECONDS>", "how long to wait for deliveries at the end", wholeNumber(0), 60)
    .option("--genesys-key <KEY>", "GENESYS_WEBHOOK_KEY of the service")
    .option("--cognigy-key <KEY>", "COGNIGY_API_KEY of the service")
    .action(async (flags: RunFlags, command) => run(open(command), command, flags));
  receiving(sim.command("receive").description("Receive deliveries until SIGINT or SIGTERM, one line each.")).action(
    async (flags: ReceiveFlags, command) => receive(open(command), flags),
  );
};

function receiving(command: Command): Command {
  return command
    .option("--host <HOST>", "where deliveries are received", "127.0.0.1")
    .option("--port <N>", "where deliveries are received; 0 takes a free port", wholeNumber(0), 9090)
    .option("--faults <NAME=SHARE,...>", "faults of deliveries", faults, {})
    .option("--seed <TEXT>", "the same text yields the same requests and faults", "jackfield");
}

async function run(session: Session, command: Command, flags: RunFlags): Promise<void> {
  const { url } = command.optsWithGlobals<{ url?: string }>();
  const baseUrl = url ?? `http://127.0.0.1:${session.host.env["PORT"] || "8080"}`;
  await reach(baseUrl);
  const webhook: Record<string, string> = flags.genesysKey === undefined ? {} : { "x-api-key": flags.genesysKey };
  const callbacks: Record<string, string> =
    flags.cognigyKey === undefined ? {} : { "x-cognigy-ai-api-key": flags.cognigyKey };
  const { mix, total, duplicates, malformed, batch, concurrency, rate, host, port, seed } = flags;
  const report = await simulate({
    // The time prevents a second simulation from repeating the calls of the first.
    traffic: {
      mix,
      total,
      duplicates,
      malformed,
      batch,
      calls: chosen(flags.call),
      prefix: `${seed}-${Date.now().toString(36)}`,
    },
    sender: { baseUrl, concurrency, rate, tries: 8, headers: { runs: webhook, gateway: webhook, callbacks } },
    receiver: flags.receive ? { host, port, faults: flags.faults } : undefined,
    seed,
    settleMs: flags.settle * 1000,
    onProgress: (line) => session.note(line),
  }).catch(refuse);
  if (session.json) session.print(JSON.stringify(report));
  else for (const line of reportLines(report, flags.receive)) session.print(line);
  const nothingReceived = flags.receive && report.acknowledged > 0 && Object.keys(report.deliveries).length === 0;
  if (nothingReceived) throw new CliError(deliveredElsewhere(`http://${host}:${port}`), exit.notOk);
  if (!report.ok) session.finish(exit.notOk);
}

async function receive(session: Session, flags: ReceiveFlags): Promise<void> {
  const { host, port, seed } = flags;
  await using receiver: Receiver = await startReceiver({
    host,
    port,
    faults: flags.faults,
    random: createRandom(`${seed} deliveries`),
    onDelivery(delivery) {
      const { runId, key, status, fault, body } = delivery;
      session.print(
        session.json
          ? JSON.stringify(delivery)
          : `${status}${fault === undefined ? "" : ` (${fault})`} run ${runId} key ${key} ${body}`,
      );
    },
  }).catch(refuse);
  session.note(
    `Receiving on ${receiver.url}. Start the service with GENESYS_API_BASE_URL=${receiver.url} GENESYS_CLIENT_ID=sim GENESYS_CLIENT_SECRET=sim.`,
  );
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
}

async function reach(baseUrl: string): Promise<void> {
  try {
    await (await fetch(new URL("/healthz", baseUrl), { signal: AbortSignal.timeout(5000) })).text();
  } catch {
    throw new CliError(
      `Jackfield cannot be reached at ${baseUrl}. Start it with \`jackfield serve\`, or name another address with --url.`,
      exit.unreachable,
    );
  }
}

function refuse(reason: unknown): never {
  const { code, address, port } = reason as { code?: unknown; address?: unknown; port?: unknown };
  if (code === "EADDRINUSE")
    throw new CliError(`${String(address)}:${String(port)} is in use by another program: give another --port.`);
  throw reason;
}

function chosen(given: readonly SampleCall[] = []): readonly [SampleCall, ...SampleCall[]] {
  const [first, ...rest] = given;
  return first === undefined ? sampleCalls : [first, ...rest];
}

/** Parses an option: converts a RangeError to the command line's error for invalid values. */
function parseOption<T>(read: () => T): T {
  try {
    return read();
  } catch (reason) {
    throw reason instanceof RangeError ? new InvalidArgumentError(reason.message) : reason;
  }
}

function addCall(text: string, before: readonly SampleCall[] = []): readonly SampleCall[] {
  return [...before, parseOption(() => sampleCallFrom(text))];
}

function faults(text: string): FaultPlan {
  return parseOption(() => faultPlanFrom(text));
}

function mixFrom(text: string): Readonly<Record<EntryPoint, number>> {
  const mix: Record<EntryPoint, number> = { runs: 0, gateway: 0, callbacks: 0 };
  for (const part of text.split(",")) {
    const [entryPoint = "", weight = ""] = part.split("=").map((side) => side.trim());
    if (!Object.hasOwn(mix, entryPoint))
      throw new InvalidArgumentError(
        `There is no entry point ${JSON.stringify(entryPoint)}: use runs, gateway, callbacks.`,
      );
    if (weight === "" || !(Number(weight) >= 0))
      throw new InvalidArgumentError(`${entryPoint} needs a weight, such as ${entryPoint}=2.`);
    mix[entryPoint as EntryPoint] = Number(weight);
  }
  if (Object.values(mix).every((weight) => weight === 0))
    throw new InvalidArgumentError("One weight must be more than 0.");
  return mix;
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError("It must be a share from 0 to 1.");
  return value;
}

function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < min)
      throw new InvalidArgumentError(`It must be a whole number, at least ${min}.`);
    return Number(text);
  };
}
