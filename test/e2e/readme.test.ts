import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/http-client.ts";
import { startProcess } from "../support/service.ts";
import type { ServiceProcess } from "../support/service.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The commands of the page that call a service, each with the answer printed after it. Nothing else of the page is run. */
const examples = [...readme.matchAll(/```sh\n((?:(?!```)[^])*)```\n```(\w+)\n((?:(?!```)[^])*)```/g)]
  .map(([, command = "", kind = "", answer = ""]) => ({ command, kind, answer }))
  .filter(({ command }) => /^(curl|npx (buf|jackfield)) /.test(command));

let service: ServiceProcess;
beforeAll(async () => {
  service = await startProcess();
  await service.ready();
  // The embedded inventory is created at the first start.
  await until(async () => !(await (await fetch(`${service.url}/readyz`)).text()).includes("tool "), 60_000);
}, 90_000);
afterAll(() => service[Symbol.asyncDispose]());

test("every entry point on the page is followed by its answer", () => {
  for (const way of [
    "/api/v1/llm/tool-callback",
    "/llm-gateway/tools",
    "/webhook/tool-calls",
    "/mcp",
    "/tools/get_weather",
    "buf curl",
    "jackfield call",
  ]) {
    expect([way, examples.filter(({ command }) => command.includes(way)).length]).toEqual([way, 1]);
  }
});

for (const { command, kind, answer } of examples) {
  test(`the page's answer is the service's: ${command.split("\n")[0]?.slice(0, 70)}`, async () => {
    const here = command
      .replaceAll("127.0.0.1:8080", `127.0.0.1:${service.port}`)
      .replaceAll(/\bnpx (buf|jackfield)\b/g, (_, program: string) => join(root, "node_modules/.bin", program));
    const { stdout } = await run("bash", ["-c", here], {
      cwd: root,
      env: {
        ...process.env,
        PATH: `${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}`,
        PORT: String(service.port),
      },
    });
    if (kind === "json") expect(timeless(JSON.parse(stdout))).toEqual(timeless(JSON.parse(answer)));
    else expect(stdout.trim()).toBe(answer.trim());
  }, 60_000);
}

/** Returns an answer without its durations. */
function timeless(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer), (key, value: unknown) => (key === "duration" ? undefined : value));
}
