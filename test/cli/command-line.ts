import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { runCli } from "../../src/cli/cli.ts";
import type { CliHost } from "../../src/cli/cli-host.ts";

/** Starts a real Connect server on a free port. `keys`: the `Authorization` headers that it received. */
export async function startConnect(routes: (router: ConnectRouter) => void) {
  const keys: (string | undefined)[] = [];
  const adapter = connectNodeAdapter({ routes });
  const server = createServer((request, response) => {
    keys.push(request.headers.authorization);
    adapter(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    keys,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Runs the command line in this process. Returns its output and its exit code. */
export async function jackfield(argv: string[], over: Partial<CliHost> & { terminal?: boolean } = {}) {
  let stdout = "";
  let stderr = "";
  const { terminal = false, ...host } = over;
  const code = await runCli(argv, {
    env: {},
    stdin: Readable.from([]),
    stdout: { write: (text) => (stdout += text), isTTY: terminal },
    stderr: { write: (text) => (stderr += text), isTTY: terminal },
    cwd: process.cwd(),
    version: "1.2.3",
    serve: async () => 0,
    mcp: async () => ({ receive: () => {}, end: async () => {} }),
    check: async () => ({ file: undefined, url: "http://127.0.0.1:8080", tools: [], notes: [] }),
    tools: async () => [],
    auditFile: () => "-",
    ...host,
  });
  return { code, stdout, stderr };
}
