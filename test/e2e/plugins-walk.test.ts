import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const root = join(import.meta.dirname, "../..");

interface Block {
  readonly language: string;
  readonly text: string;
}

/** Returns the code blocks of the walk, in order. */
function walkBlocks(): Block[] {
  const page = readFileSync(join(root, "docs/plugins.md"), "utf8");
  const walk = page.split("\n## ").find((section) => section.startsWith("From nothing to an answered call")) ?? "";
  return [...walk.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language = "", text = ""]) => ({ language, text }));
}

/** Copies the checkout as it is after `npm ci`: its own packages are the copy's, all others are shared. */
function copyCheckout(folder: string): void {
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of files.split("\0").filter((path) => path !== "" && path !== "jackfield.yaml")) {
    cpSync(join(root, file), join(folder, file), { force: true, verbatimSymlinks: true });
  }
  const modules = join(root, "node_modules");
  mkdirSync(join(folder, "node_modules"));
  for (const name of readdirSync(modules)) {
    if (name === "jackfield" || name === "@jackfield" || name === ".bin") {
      cpSync(join(modules, name), join(folder, "node_modules", name), { recursive: true, verbatimSymlinks: true });
    } else if (!name.startsWith(".")) symlinkSync(join(modules, name), join(folder, "node_modules", name));
  }
}

/** Runs a block of commands. Returns its standard output. */
function run(block: Block, cwd: string, env: NodeJS.ProcessEnv): string {
  return execFileSync("bash", ["-euo", "pipefail", "-c", block.text], {
    cwd,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Starts a block that does not end, and waits until the service reports its address. */
async function start(block: Block, cwd: string, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn("bash", ["-c", block.text], { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const listening = Promise.withResolvers<void>();
  let said = "";
  const hear = (chunk: unknown): void => {
    said += String(chunk);
    if (said.includes('"listening"')) listening.resolve();
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  child.on("exit", () => listening.reject(new Error(`the service did not start: ${said}`)));
  await listening.promise;
  return child;
}

test("the walkthrough of docs/plugins.md works as written", { timeout: 90_000 }, async () => {
  const blocks = walkBlocks();
  expect(blocks.filter(({ language }) => language === "sh").length).toBeGreaterThan(6);
  using folder = scratchFolder("plugins-walk");
  copyCheckout(folder.path);
  const port = await freePort();
  const { NODE_OPTIONS: _options, VITEST: _vitest, ...inherited } = process.env;
  const env = {
    ...inherited,
    PORT: String(port),
    PATH: `${join(folder.path, "node_modules/.bin")}:${process.env["PATH"]}`,
  };
  let service: ChildProcess | undefined;
  let output = "";
  try {
    for (const { language, text } of blocks) {
      const block = { language, text: text.replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`) };
      const file = /^(?:\/\/|#) (\S+)$/m.exec(text.split("\n")[0] ?? "")?.[1];
      if (file !== undefined) {
        mkdirSync(dirname(join(folder.path, file)), { recursive: true });
        writeFileSync(join(folder.path, file), text);
      } else if (language === "json") expect(JSON.parse(output)).toEqual(JSON.parse(text));
      else if (text.trim() === "npm start") service = await start(block, folder.path, env);
      else output = run(block, folder.path, env);
    }
  } finally {
    if (service?.pid !== undefined) {
      process.kill(-service.pid, "SIGTERM");
      await once(service, "exit");
    }
  }
});
