import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { until } from "../support/http-client.ts";

const module = join(import.meta.dirname, "../../src/telemetry/fd-destination.ts");

/** Runs a program whose `out` writes to its own stdout, a pipe. Its reports arrive line by line on stderr. */
function startWriter(body: string, stdout: "pipe" | number = "pipe") {
  const code = `import { createFdDestination } from ${JSON.stringify(module)};
    process.stdout.isTTY; // Makes a pipe answer at once instead of waiting, as the service does at its start.
    const out = createFdDestination(1);
    const report = (fields) => process.stderr.write(JSON.stringify(fields) + "\\n");
    ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["pipe", stdout, "pipe"] });
  let reports = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (reports += chunk));
  return {
    child,
    reports: () => reports.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as object])),
  };
}

test("a reader that does not read delays nobody, gets whole lines when it reads, and lost ones are counted (hazard 43)", async () => {
  const { child, reports } = startWriter(`
    process.on("exit", () => out.flush());
    const lines = 30_000;
    for (let n = 0; n < lines; n++) {
      out.write(JSON.stringify({ n, text: "x".repeat(100) }) + "\\n");
      if (n % 1000 === 0) await new Promise(setImmediate);
    }
    report({ lines, dropped: out.dropped });
    process.stdin.resume(); // Lives until the test lets it go.
  `);
  // Nobody reads its stdout until it has written everything.
  await until(() => reports().length === 1, 20_000);
  const [report] = reports() as [{ lines: number; dropped: number }];
  expect(report.dropped).toBeGreaterThan(0);
  const reading = text(child.stdout!);
  let read = 0;
  child.stdout!.on("data", (chunk: Buffer) => (read += chunk.length));
  await until(() => read > 1_000_000, 10_000);
  child.stdin!.end();
  const [code] = (await once(child, "exit")) as [number];
  const numbers = (await reading)
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [(JSON.parse(line) as { n: number }).n]));
  expect(code).toBe(0);
  expect(numbers).toHaveLength(report.lines - report.dropped);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
});

test("waiting lines are written when the process ends, and a reader that does not read does not delay the end", async () => {
  const written = startWriter(`process.on("exit", () => out.flush()); out.write("last\\n"); process.exit(3);`);
  const [lines, [code]] = await Promise.all([text(written.child.stdout!), once(written.child, "exit")]);
  expect({ lines, code }).toEqual({ lines: "last\n", code: 3 });

  const stuck = startWriter(`
    process.on("exit", () => out.flush());
    for (let n = 0; n < 10; n++) out.write("x".repeat(100_000) + "\\n");
    setTimeout(() => process.exit(4), 50);
  `);
  const [ended] = (await once(stuck.child, "exit")) as [number];
  expect(ended).toBe(4);
});

test("a full disk loses lines, which are counted, and later lines arrive", async () => {
  const full = openSync("/dev/full", "w");
  const { child, reports } = startWriter(
    `for (let n = 0; n < 3; n++) { out.write("line\\n"); await new Promise((resolve) => setTimeout(resolve, 20)); }
     report({ dropped: out.dropped });`,
    full,
  );
  const [code] = (await once(child, "exit")) as [number];
  closeSync(full);
  expect({ code, reports: reports() }).toEqual({ code: 0, reports: [{ dropped: 3 }] });
});
