import { Code, createClient, createContextValues } from "@connectrpc/connect";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { createInProcessClient, createInProcessTransport } from "../../src/rpc/in-process/transport.ts";
import { kTrace } from "../../src/telemetry/trace-key.ts";
import { createEchoExecutor, createOpenFront, createParts, createServices, local } from "./rpc-kit.ts";

const executor = createEchoExecutor();
const parts = createParts({ executor });
const services = createServices(parts);
const front = createOpenFront(parts.telemetry);
const clients = (caller: Caller = local) => ({
  "Connect's client": createClient(ToolExecutor, createInProcessTransport(services, { caller, front })),
  "our own": createInProcessClient(ToolExecutor, services, { caller, front }),
});
const names = ["Connect's client", "our own"] as const;

describe.each(names)("an in-process client, %s", (which) => {
  const client = clients()[which];

  test("returns the answer, the trace and the response's metadata", async () => {
    const contextValues = createContextValues().set(kTrace, ROOT_CONTEXT);
    const seen: Headers[] = [];
    const onHeader = (headers: Headers): void => void seen.push(headers);
    const answer = await client.executeTool(
      { call: { id: "a", name: "echo" } },
      { contextValues, onHeader, onTrailer: onHeader },
    );
    expect(answer.result).toMatchObject({ callId: "a", name: "echo" });
    expect(answer.$typeName).toBe("jackfield.v1.ExecuteToolResponse");
    expect(executor.seen.at(-1)?.request.trace).toBe(ROOT_CONTEXT);
    expect(seen).toHaveLength(2);
  });

  test("rejects with ConnectErrors, never synchronously", async () => {
    const rejections: [() => Promise<unknown>, Code][] = [
      [() => client.executeTool({}), Code.InvalidArgument],
      [() => client.executeTool({ call: { name: "throw" } }), Code.Internal],
      [() => client.executeTool({ call: { name: "fail-9" } }), Code.FailedPrecondition],
      [() => client.getCall({ callId: "nobody's" }), Code.NotFound],
      [() => client.executeTool({ call: { name: "slow" } }, { timeoutMs: 1 }), Code.DeadlineExceeded],
      [() => client.executeTool({ call: { name: "slow" } }, { signal: AbortSignal.abort() }), Code.Canceled],
    ];
    for (const [ask, code] of rejections) await expect(ask()).rejects.toMatchObject({ code });
    const stranger = clients({ ...local, scopes: new Set() })[which];
    await expect(stranger.executeTool({ call: { name: "echo" } })).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
  });

  test("ends a call whose client disconnects", async () => {
    const gone = new AbortController();
    const call = client.executeTool({ call: { name: "slow" } }, { signal: gone.signal });
    gone.abort();
    await expect(call).rejects.toMatchObject({ code: Code.Canceled });
  });

  test("streams", async () => {
    const events = await Array.fromAsync(client.executeTools({ calls: [{ id: "s", name: "echo" }] }));
    expect(events.at(-1)?.event.case).toBe("done");
  });
});
