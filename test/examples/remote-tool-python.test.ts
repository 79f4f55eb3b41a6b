import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { expect, test } from "vitest";
import { createJackfieldClient } from "../../src/client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startService } from "../support/service.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const python = ["/usr/bin/python3", "python3"].find((command) => {
  try {
    execFileSync(command, ["-c", "import grpc, google.protobuf"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});

interface Plugin extends grpc.Client {
  Describe(
    request: object,
    done: (error: grpc.ServiceError | null, answer: { tool: { name: string; effect: string } }) => void,
  ): void;
  Execute(request: object): grpc.ClientReadableStream<Record<string, unknown>>;
}

function pluginAt(address: string): Plugin {
  const definition = loadSync("jackfield/v1/tool_plugin.proto", {
    includeDirs: [`${root}proto`],
    enums: String,
    oneofs: true,
  });
  const loaded = grpc.loadPackageDefinition(definition) as unknown as {
    jackfield: { v1: { ToolPlugin: new (address: string, credentials: grpc.ChannelCredentials) => Plugin } };
  };
  return new loaded.jackfield.v1.ToolPlugin(address, grpc.credentials.createInsecure());
}

/** Starts the example and waits for the address that it prints. */
async function startExample(command: string) {
  const child = spawn(command, [`${root}examples/remote-tool-python/server.py`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let printed = "";
  for await (const chunk of child.stdout) {
    printed += String(chunk);
    if (printed.includes("\n")) break;
  }
  return {
    address: /^listening on (\S+)\n/.exec(printed)?.[1] ?? "",
    async stop(): Promise<number | null> {
      child.kill("SIGTERM");
      const [code] = (await exited) as [number | null];
      return code;
    },
  };
}

// Skipped only if Python or its grpcio is missing: Debian's package is python3-grpcio.
test.skipIf(python === undefined)(
  "the tool in Python describes itself, reports progress, answers, refuses with a message, and stops",
  { timeout: 60_000 },
  async () => {
    const example = await startExample(python!);
    const plugin = pluginAt(example.address);
    const execute = async (args: Record<string, string>) => {
      const fields = Object.fromEntries(Object.entries(args).map(([name, stringValue]) => [name, { stringValue }]));
      const events: Record<string, unknown>[] = [];
      const stream = plugin.Execute({ name: "lookup_store_hours", arguments: { fields }, callId: "c-1" });
      for await (const event of stream as AsyncIterable<Record<string, unknown>>) events.push(event);
      return events;
    };
    try {
      const { tool } = await new Promise<{ tool: object }>((resolve, reject) => {
        plugin.Describe({}, (error, answer) => (error === null ? resolve(answer) : reject(error)));
      });
      expect(tool).toMatchObject({ name: "lookup_store_hours", effect: "EFFECT_READ", version: "1.0.0" });

      const [progress, output] = await execute({ city: "Zürich", day: "saturday" });
      expect(progress).toMatchObject({ event: "progress", progress: { callId: "c-1", fraction: 0.5 } });
      expect(output).toMatchObject({ output: { structValue: { fields: { opens: { stringValue: "09:00" } } } } });

      const refused = await execute({ city: "Ulm" });
      expect(refused.at(-1)).toMatchObject({
        event: "error",
        error: expect.stringContaining("There is no store in Ulm."),
      });
    } finally {
      plugin.close();
      expect(await example.stop()).toBe(0);
    }
  },
);

// Skipped only if Python or its grpcio is missing: Debian's package is python3-grpcio.
test.skipIf(python === undefined)(
  "the tool in Python is registered, called through Cognigy, and kept across a restart",
  { timeout: 60_000 },
  async () => {
    const example = await startExample(python!);
    using folder = scratchFolder("jackfield-python");
    const options = { env: { JACKFIELD_PRIVATE_ADDRESSES: "127.0.0.1" }, plugins: [], dataDir: `${folder.path}/data` };
    const ask = async (url: string, id: string) => {
      const body = JSON.stringify({ tool_call_id: id, name: "lookup_store_hours", arguments: { city: "Berlin" } });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/api/v1/llm/tool-callback`, { method: "POST", headers, body });
      return (await answer.json()) as { output: string };
    };
    {
      await using service = await startService(options);
      expect((await ask(service.url, "early")).output).toBe("Unknown tool: lookup_store_hours");
      const { registry } = createJackfieldClient({ baseUrl: service.url });
      const { tool } = await registry.registerTool({
        tool: { name: "lookup_store_hours" },
        target: { target: { case: "grpc", value: { address: example.address } } },
      });
      expect(tool?.description).not.toBe("");
      expect((await ask(service.url, "first")).output).toContain("Berlin");
      await expect(
        registry.registerTool({
          tool: { name: "bad name" },
          target: { target: { case: "grpc", value: { address: example.address } } },
        }),
      ).rejects.toThrow();
    }
    await using restarted = await startService(options);
    expect((await ask(restarted.url, "second")).output).toContain("Berlin");
    expect(await example.stop()).toBe(0);
  },
);
