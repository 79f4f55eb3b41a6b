import { type Program, startProgram } from "../program.ts";
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

/**
 * Time from the start of the process until it is ready, against a bare Fastify with Connect. The service has run before and
 * was stopped with SIGTERM: its data folder contains compiled code and the tables of the embedded inventory.
 */
export const start: Row = {
  name: "start",
  title: "start to ready",
  async run(bench) {
    const { server: core } = bench.cores;
    const without: Side = { name: "Jackfield without search_inventory", values: [] };
    const complete: Side = { name: "Jackfield with search_inventory", values: [] };
    const first: Side = { name: "Jackfield without search_inventory, first start of a data folder", values: [] };
    const bare: Side = { name: "bare Fastify and Connect", values: [] };
    const service = (folder: string, plugins: readonly string[]): Promise<Program> =>
      startService({ core, folder, sink: bench.sink, plugins });
    const inventory = [...withoutInventory, "@jackfield/search-inventory"];
    using used = scratchFolder();
    using usedWithInventory = scratchFolder();
    await timed(() => service(used.path, withoutInventory));
    await timed(() => service(usedWithInventory.path, inventory));
    for (let round = 0; round < Math.max(bench.rounds, 5); round++) {
      using fresh = scratchFolder();
      without.values.push(await timed(() => service(used.path, withoutInventory)));
      complete.values.push(await timed(() => service(usedWithInventory.path, inventory)));
      first.values.push(await timed(() => service(fresh.path, withoutInventory)));
      bare.values.push(await timed(() => startProgram("bench/peers/bare-start.ts", { core })));
      bench.print(
        `  ${[without, complete, first, bare].map(({ name, values }) => `${name} ${Math.round(values.at(-1)!)} ms`).join(", ")}`,
      );
    }
    const sides = [without, complete, first, bare];
    const more = complete.values.map((value, index) => value - without.values[index]!);
    return {
      unit: "ms",
      sides,
      ratios: [
        ratio(sides, without.name, bare.name, 2, true),
        { ...ratio(sides, first.name, bare.name, undefined, true), name: "first start of a data folder / bare" },
        { name: "search_inventory adds, in ms", values: more, goal: 2000, atMost: true },
      ],
      notes: ["both run as TypeScript from the repository"],
    };
  },
};

async function timed(begin: () => Promise<Program>): Promise<number> {
  await using program = await begin();
  await program.stop();
  return program.readyMs;
}
