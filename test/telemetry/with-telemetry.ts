import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTelemetry } from "../../src/telemetry/create-telemetry.ts";
import type { TelemetryOptions } from "../../src/telemetry/create-telemetry.ts";
import { loadConfig } from "../../src/app/load-config.ts";

/** Starts telemetry with a folder of its own, and records its log lines. */
export async function withTelemetry(options: Partial<TelemetryOptions> = {}, env: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "jackfield-telemetry-"));
  const lines: string[] = [];
  const config = { ...loadConfig({ env, cwd: folder }), ...options.config };
  const telemetry = createTelemetry({
    secrets: [],
    version: "0.1.0",
    pretty: false,
    destination: { write: (line: string) => void lines.push(line) },
    ...options,
    config,
  });
  return {
    telemetry,
    config,
    lines,
    folder,
    auditFile: config.auditFile,
    async [Symbol.asyncDispose]() {
      await telemetry.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
