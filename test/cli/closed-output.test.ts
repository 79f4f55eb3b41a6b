import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { program } from "../support/program.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

test.each(["stdout", "stderr"] as const)("a reader that closes %s does not make a command fail", async (closed) => {
  using folder = scratchFolder();
  const child = spawn(process.execPath, [...program, "check"], {
    cwd: folder.path,
    env: { PATH: process.env["PATH"] },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child[closed].destroy();
  let text = "";
  const open = closed === "stdout" ? child.stderr : child.stdout;
  open.on("data", (chunk: Buffer) => (text += chunk.toString()));
  expect(await once(child, "close")).toEqual([0, null]);
  expect(text).toContain(closed === "stdout" ? "sandbox" : "Would listen on");
  expect(text).not.toContain("EPIPE");
});
