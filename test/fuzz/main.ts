// Sends generated requests to every entry point of the service, which runs in a process of its own.
//   npm run fuzz [-- --seconds 600] [--seed NUMBER] [--door NAME] [--path PATH]
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    door: { type: "string" },
    path: { type: "string" },
  },
});
const report = await fuzz({
  seconds: Number(values.seconds),
  seed: Number(values.seed),
  door: values.door,
  path: values.path,
  log: console.log,
});
console.log(report.summary);
if (report.failure !== undefined) {
  console.error(report.failure);
  process.exitCode = 1;
}
