/**
 * Records the first five minutes: starts the service, runs the commands below and writes their output as an animated SVG,
 * `docs/images/first-calls.svg`. Run it with `npm run picture` after a change of the README's commands.
 */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const columns = 108;
const lineHeight = 19;

interface Line {
  readonly text: string;
  readonly kind: "command" | "output";
}

/** The typed commands, with the displayed port. */
const commands: readonly string[] = [
  `npx jackfield tools`,
  `curl -s http://127.0.0.1:8080/api/v1/llm/tool-callback -H 'Content-Type: application/json' -d '{"tool_call_id":"call-1","name":"get_weather","arguments":{"location":"London"}}'`,
  `npx jackfield call update_ticket_priority '{"ticket_id":"TCK-2001","priority":"asap"}'`,
  `npx jackfield call update_ticket_priority '{"ticket_id":"TCK-2001","priority":"high"}'`,
];

const data = mkdtempSync(join(tmpdir(), "jackfield-picture-"));
const port = await freePort();
const environment = {
  ...process.env,
  PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
  PORT: String(port),
  JACKFIELD_DATA_DIR: data,
};
const service = spawn(process.execPath, ["--conditions=@jackfield/source", "src/main.ts"], {
  cwd: root,
  env: environment,
  stdio: "ignore",
});
try {
  await ready();
  const lines: Line[] = [
    { kind: "command", text: "npm ci && npm start" },
    { kind: "output", text: "listening on http://127.0.0.1:8080" },
  ];
  for (const command of commands) {
    lines.push({ kind: "command", text: command });
    for (const text of (await output(command)).trimEnd().split("\n")) lines.push({ kind: "output", text });
  }
  writeFileSync(join(root, "docs/images/first-calls.svg"), picture(lines));
} finally {
  service.kill();
  rmSync(data, { recursive: true, force: true, maxRetries: 5 });
}

async function output(command: string): Promise<string> {
  const actual = command.replaceAll(":8080", `:${port}`);
  // A call that the service refuses has its own exit code. Its output is part of the picture.
  const { stdout, stderr } = await run("bash", ["-c", actual], { cwd: root, env: environment }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
}

async function ready(): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    // Simulated parts of the sandbox leave notes, too.
    const notes = response?.status === 200 ? ((await response.json()) as { notes: string[] }).notes : undefined;
    if (notes?.every((note) => !note.startsWith("tool ")) === true) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("the service did not become ready within 60 s");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Draws the lines, wrapped at the width. Each appears after the one before it. */
function picture(lines: readonly Line[]): string {
  const rows = lines.flatMap(({ kind, text }) =>
    fold(kind === "command" ? `$ ${text}` : text).map((row) => ({ kind, row })),
  );
  const height = rows.length * lineHeight + 50;
  let seconds = 0;
  const texts = rows.map(({ kind, row }, index) => {
    seconds += kind === "command" && row.startsWith("$ ") ? 1.2 : 0.15;
    const y = 48 + index * lineHeight;
    return `<text class="${kind}" x="16" y="${y}" style="animation-delay:${seconds.toFixed(2)}s">${escaped(row)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${columns * 8 + 32}" height="${height}" role="img" aria-label="Starting Jackfield and making the first calls">
<style>
.frame{fill:#16181d}.dot{fill:#4a4f5a}
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;opacity:0;animation:show .1s forwards}
.command{fill:#8fd6a0}.output{fill:#d7dae0}
@keyframes show{to{opacity:1}}
@media (prefers-reduced-motion:reduce){text{opacity:1;animation:none}}
</style>
<rect class="frame" width="100%" height="100%" rx="8"/>
<circle class="dot" cx="20" cy="16" r="5"/><circle class="dot" cx="38" cy="16" r="5"/><circle class="dot" cx="56" cy="16" r="5"/>
${texts.join("\n")}
</svg>
`;
}

function fold(text: string): string[] {
  const rows: string[] = [];
  for (let start = 0; start < Math.max(1, text.length); start += columns) rows.push(text.slice(start, start + columns));
  return rows;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
