import { flushCompileCache } from "node:module";
import type { CheckReport, McpLines } from "./cli/cli-host.ts";
import { runCli } from "./cli/cli.ts";
import { ConfigError } from "./config/config-error.ts";
import { loadConfig } from "./config/load-config.ts";
import { withSandbox } from "./config/with-sandbox.ts";
import { Effect, type Tool } from "../gen/jackfield/v1/tool_pb.ts";
import { createJackfield } from "./jackfield.ts";
import { loadTools, PluginLoadError } from "./app/load-tools.ts";
import { StoreOpenError } from "./app/open-stores.ts";
import { createShutdown } from "./app/shutdown.ts";
import { StoreRefusedError } from "./store/store-errors.ts";
import { version } from "./version.ts";

/** Serves until a signal ends it. */
async function serve(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const config = loadConfig({ env: process.env, cwd: process.cwd() });
  const service = await createJackfield(config, { pretty: process.stdout.isTTY }).catch(refuse);
  const { log } = service.telemetry;
  // What a plugin throws in a timer or a listener reaches nobody: it must not end the calls of everybody else.
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "a rejection that nobody handles"));
  process.on("uncaughtException", (reason) => log.error({ err: reason }, "an exception that nobody catches"));
  const shutdown = createShutdown(
    { begin: () => service.beginShutdown(), finish: (expired) => service.finishShutdown(expired) },
    { log, exit: (code) => (code === 0 ? resolve(0) : process.exit(code)) },
  );
  shutdown.listen(process);
  // Whoever is killed later would leave nothing compiled for the next start.
  setTimeout(flushCompileCache, 1000).unref();
  const code = await promise;
  // What a plugin has left open must not keep the process: it ends by itself, or is ended a moment later.
  setTimeout(() => process.exit(code), 500).unref();
  return code;
}

/** Stands where the sandbox's addresses will stand once it runs. */
const unstartedSandbox = {
  backOfficeUrl: "http://127.0.0.1",
  weatherUrl: "http://127.0.0.1",
  geocodingUrl: "http://127.0.0.1",
  genesysUrl: "http://127.0.0.1",
};

/** Loads everything that a start would load, and listens to nothing. */
async function load() {
  const config = loadConfig({ env: process.env, cwd: process.cwd() });
  return { config, registry: await loadTools(withSandbox(config, unstartedSandbox), false).catch(refuse) };
}

/** The tools of the configuration. */
async function tools(): Promise<readonly Tool[]> {
  const { registry } = await load();
  return registry.list().map(({ message }) => message);
}

/** Reports what would be served. */
async function check(): Promise<CheckReport> {
  const { config, registry } = await load();
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
    notes: config.warnings,
  };
}

/** Serves MCP over lines, without a port. All that is logged goes to stderr: stdout is for the messages. */
async function mcp(write: (line: string) => void): Promise<McpLines> {
  const config = loadConfig({ env: process.env, cwd: process.cwd() });
  const service = await createJackfield(config, { listen: false, destination: process.stderr }).catch(refuse);
  const lines = service.mcpOverLines(write);
  return {
    receive: (line) => lines.receive(line),
    async end() {
      await lines.end();
      await service[Symbol.asyncDispose]();
    },
  };
}

/** Turns whatever keeps the service from starting into sentences for whoever starts it. */
function refuse(reason: unknown): never {
  if (reason instanceof PluginLoadError) throw new ConfigError(reason.faults);
  if (reason instanceof StoreRefusedError || reason instanceof StoreOpenError) throw new ConfigError([reason.message]);
  const { code, address, port } = reason as { code?: unknown; address?: unknown; port?: unknown };
  if (code === "EADDRINUSE")
    throw new ConfigError([`PORT: ${String(address)}:${String(port)} is in use by another program.`]);
  if (code === "EACCES" || code === "EADDRNOTAVAIL") {
    throw new ConfigError([`HOST and PORT: ${String(address)}:${String(port)} cannot be listened on (${code}).`]);
  }
  throw reason;
}

/** Runs the command line, and sets the exit code of the process. */
export async function run(): Promise<void> {
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
  });
}
