import { startProgram } from "../program.ts";
import { ratio, type Row, type Side } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";

const bundled = [
  "get-order-status",
  "update-ticket-priority",
  "fetch-customer-balance",
  "get-weather",
  "check-inventory",
];
const withoutInventory = bundled.map((name) => `@jackfield/${name}`);

/** From the start of the process to its being ready, against a bare Fastify with Connect. */
export const start: Row = {
  name: "start",
  title: "start to ready",
  async run(bench) {
    const { server: core } = bench.cores;
    const without: Side = { name: "Jackfield without search_inventory", values: [] };
    const complete: Side = { name: "Jackfield with search_inventory", values: [] };
    const bare: Side = { name: "bare Fastify and Connect", values: [] };
    using kept = scratchFolder();
    // The tables of the embedded inventory are made once in the life of a data folder, and code is compiled once in that
    // of an installation: both are there a moment after the first start.
    {
      const plugins = [...withoutInventory, "@jackfield/search-inventory"];
      await using _first = await startService({ core, folder: kept.path, sink: bench.sink, plugins });
      await new Promise((resolve) => void setTimeout(resolve, 3000));
    }
    for (let round = 0; round < Math.max(bench.rounds, 5); round++) {
      using folder = scratchFolder();
      without.values.push(
        await timed(() => startService({ core, folder: folder.path, sink: bench.sink, plugins: withoutInventory })),
      );
      complete.values.push(
        await timed(() =>
          startService({
            core,
            folder: kept.path,
            sink: bench.sink,
            plugins: [...withoutInventory, "@jackfield/search-inventory"],
          }),
        ),
      );
      bare.values.push(await timed(() => startProgram("bench/peers/bare-start.ts", { core })));
      bench.say(
        `  ${[without, complete, bare].map(({ name, values }) => `${name} ${Math.round(values.at(-1)!)} ms`).join(", ")}`,
      );
    }
    const sides = [without, complete, bare];
    const more = complete.values.map((value, index) => value - without.values[index]!);
    return {
      unit: "ms",
      sides,
      ratios: [
        ratio(sides, without.name, bare.name, 2, true),
        { name: "search_inventory adds, in ms", values: more, goal: 2000, atMost: true },
      ],
      notes: ["both run as TypeScript from the repository"],
    };
  },
};

async function timed(begin: () => ReturnType<typeof startProgram>): Promise<number> {
  await using program = await begin();
  return program.readyMs;
}
