import type { CheckReport, McpLines } from "./cli/cli-host.ts";
import { runCli } from "./cli/cli.ts";
import { asConfigError } from "./app/config-errors.ts";
import { findAuditFile, readConfig } from "./app/load-config.ts";
import { prepare } from "./app/prepare.ts";
import { sandboxNotes, withSandbox } from "./app/sandbox-parts.ts";
import { ConfigError } from "./config/config-error.ts";
import { reservedArguments } from "./definitions/reserved-arguments.ts";
import { Effect, type Tool } from "../gen/jackfield/v1/tool_pb.ts";
import { startService } from "./jackfield.ts";
import { loadTools } from "./app/load-tools.ts";
import { createShutdown } from "./app/shutdown.ts";
import { handleStrayErrors } from "./app/stray-errors.ts";
import { createFdDestination } from "./telemetry/fd-destination.ts";
import { version } from "./version.ts";
import { definitionWarnings } from "./definitions/warnings.ts";

/** Runs the service until a signal ends it. */
async function serve(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const config = readConfig({ env: process.env, cwd: process.cwd() });
  const service = await startService(config, { pretty: process.stdout.isTTY }).catch(asConfigError);
  const { log, flushLog } = service.telemetry;
  process.once("exit", flushLog);
  const shutdown = createShutdown(service, {
    log,
    delayMs: config.shutdown.delayMs,
    exit: (code) => (code === 0 ? resolve(0) : process.exit(code)),
  });
  shutdown.listen(process);
  handleStrayErrors(process, service.telemetry);
  const code = await promise;
  // Handles that a plugin has left open must not keep the process alive: if it does not exit by itself, it is ended
  // shortly after.
  setTimeout(() => process.exit(code), 500).unref();
  return code;
}

/** Loads everything that a start would load, without listening. */
async function load() {
  const config = readConfig({ env: process.env, cwd: process.cwd() });
  const prepared = await prepare(config).catch(asConfigError);
  // Placeholders for the sandbox's addresses, which are known only while it runs.
  const urls = Object.fromEntries([...prepared.sandboxParts].map((part) => [part, "http://127.0.0.1"]));
  const registry = await loadTools(withSandbox(prepared, urls).plugins, false).catch(asConfigError);
  return { config, registry, notes: [...config.warnings, ...sandboxNotes(prepared.sandboxParts)] };
}

/** Returns the configured tools. */
async function tools(): Promise<readonly Tool[]> {
  const { registry } = await load();
  return registry.list().map(({ message }) => message);
}

/** Reports what the service would serve. */
async function check(): Promise<CheckReport> {
  const { config, registry, notes } = await load();
  const problems = registry.list().flatMap(({ message }) => reservedArguments(message));
  if (problems.length > 0) throw new ConfigError(problems);
  const effects = new Map<number, string>(Object.entries(Effect).map(([name, number]) => [number, name.toLowerCase()]));
  return {
    file: config.file,
    url: `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${config.port}`,
    tools: registry.list().map((tool) => ({
      name: tool.name,
      effect: effects.get(tool.effect) ?? "write",
      version: tool.message.version,
      use: tool.use,
    })),
    notes: [
      ...notes,
      ...registry.list().flatMap(({ message }) => definitionWarnings(message)),
      ...registry.list().flatMap((tool) => {
        return tool.problem === undefined ? [] : [`tool ${tool.name}: ${tool.problem}`];
      }),
    ],
  };
}

/** Serves newline-delimited MCP without a port. The log goes to stderr, because stdout carries the messages. */
async function mcp(write: (line: string) => void): Promise<McpLines> {
  const config = readConfig({ env: process.env, cwd: process.cwd() });
  const destination = createFdDestination(process.stderr.fd);
  process.once("exit", () => destination.flush());
  const service = await startService(config, { listen: false, destination }).catch(asConfigError);
  const lines = service.serveLines(write);
  return {
    receive: (line) => lines.receive(line),
    async end() {
      await lines.end();
      await service[Symbol.asyncDispose]();
    },
  };
}

/** Runs the command line and sets the exit code of the process. */
export async function run(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // A reader such as `head` that has seen enough is no failure.
      if (error.code !== "EPIPE") throw error;
    });
  }
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    cwd: process.cwd(),
    version,
    serve,
    mcp,
    check,
    tools,
    auditFile: () => findAuditFile({ env: process.env, cwd: process.cwd() }),
  });
}
