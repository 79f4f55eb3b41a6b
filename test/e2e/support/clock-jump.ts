// Loaded before the service: its clock is shifted by the offset in a file, in milliseconds, on each SIGUSR2.
import { readFileSync } from "node:fs";

const file = process.env["TEST_CLOCK_FILE"] ?? "";
const RealDate = globalThis.Date;
let offset = Number(readFileSync(file, "utf8"));
process.on("SIGUSR2", () => {
  offset = Number(readFileSync(file, "utf8"));
  process.stdout.write(`clock moved by ${offset}\n`);
});

globalThis.Date = class extends RealDate {
  constructor(...given: [] | [number | string]) {
    if (given.length === 0) super(RealDate.now() + offset);
    else super(...(given as [number]));
  }

  static override now(): number {
    return RealDate.now() + offset;
  }
} as DateConstructor;
