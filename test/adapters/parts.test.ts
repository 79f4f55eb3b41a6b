import fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import * as fc from "fast-check";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { CallState, type WaitCallResponse, WaitCallResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AdapterClients } from "../../src/adapters/adapter.ts";
import { createOutlivedCalls } from "../../src/adapters/answer-route.ts";
import { eventText, openEventStream } from "../../src/adapters/sse.ts";
import { until } from "./start-adapter.ts";

describe("the text of an event", () => {
  test("is parsed as one event with the same lines, for any data", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "\r", "\n", ":", " ", "ü", "\u2028", "d") }), (data) => {
        const events: EventSourceMessage[] = [];
        const parser = createParser({ onEvent: (event) => void events.push(event) });
        parser.feed(eventText({ event: "x", data }));
        expect(events).toEqual([{ event: "x", id: undefined, data: data.replace(/\r\n|\r/g, "\n") }]);
      }),
    );
  });

  test("cannot contain a line break in its name", () => {
    expect(() => eventText({ event: "x\ndata: y", data: "" })).toThrow(TypeError);
    expect(() => eventText({ event: "x\r", data: "" })).toThrow(TypeError);
  });
});

test("a stream keeps its connection open, unless the service is about to close it", async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  app.get("/:connection", async (request, reply) => {
    const { connection } = request.params as { connection: string };
    if (connection === "close") reply.raw.setHeader("connection", "close");
    openEventStream(reply, { commentEveryMs: 60_000 }).end();
    return reply;
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  for (const connection of ["keep-alive", "close"]) {
    const response = await fetch(`${url}/${connection}`);
    expect(response.headers.get("connection")).toBe(connection);
    expect(await response.text()).toBe("");
  }
});

describe("calls that outlived their answers", () => {
  /** An executor that knows which calls are running, and answers WaitCall when they have ended. */
  function executor() {
    const ends = new Map<string, PromiseWithResolvers<WaitCallResponse>>();
    let broken = false;
    const clients = {
      executor: {
        async waitCall({ callId }: { callId: string }) {
          if (broken) throw new ConnectError("the store is down", Code.Unavailable);
          return ends.get(callId)!.promise;
        },
      },
    } as unknown as Pick<AdapterClients, "executor">;
    return {
      clients,
      breakOff: (value: boolean) => void (broken = value),
      start: (id: string) => void ends.set(id, Promise.withResolvers()),
      end(id: string, state: CallState = CallState.DONE) {
        const result = state === CallState.RUNNING ? {} : { result: { callId: id } };
        const { resolve } = ends.get(id)!;
        if (state === CallState.RUNNING) ends.set(id, Promise.withResolvers());
        resolve(create(WaitCallResponseSchema, { state, ...result }));
      },
    };
  }

  test("are counted until they have ended, and their result is reported once", async () => {
    const calls = executor();
    // A pause would take longer than the test: there is none while the state can be read.
    const outlived = createOutlivedCalls({ retryMs: 600_000 });
    const ended: string[] = [];
    for (const callId of ["1", "2"]) {
      calls.start(callId);
      const onEnd = (result: ToolResult): void => void ended.push(result.callId);
      outlived.add({ caller: "k", callId, clients: calls.clients, onEnd });
      outlived.add({ caller: "k", callId, clients: calls.clients, onEnd });
    }
    outlived.add({ caller: "other", callId: "1", clients: calls.clients });
    expect(outlived.running.size).toBe(3);
    calls.end("1", CallState.RUNNING);
    await new Promise(setImmediate);
    expect(outlived.running.size).toBe(3);
    calls.end("1");
    await until(() => outlived.running.size === 1);
    calls.end("2");
    await until(() => outlived.running.size === 0);
    expect(ended).toEqual(["1", "2"]);
    outlived.close();
  });

  test("stay counted while their state cannot be read", async () => {
    const calls = executor();
    const outlived = createOutlivedCalls({ retryMs: 1 });
    calls.start("1");
    calls.breakOff(true);
    outlived.add({ caller: "k", callId: "1", clients: calls.clients });
    await new Promise(setImmediate);
    expect(outlived.running.size).toBe(1);
    calls.breakOff(false);
    calls.end("1");
    await until(() => outlived.running.size === 0);
    outlived.close();
  });

  test("are no longer counted after a day", async () => {
    let time = 0;
    const calls = executor();
    const outlived = createOutlivedCalls({ staleAfterMs: 1000, now: () => time });
    calls.start("a");
    outlived.add({ caller: "", callId: "a", clients: calls.clients });
    expect(outlived.running.size).toBe(1);
    time = 1001;
    calls.end("a", CallState.RUNNING);
    await until(() => outlived.running.size === 0);
    outlived.close();
  });

  test("a call that is no longer known is not counted, and has no result", async () => {
    const outlived = createOutlivedCalls({});
    const ended: ToolResult[] = [];
    const waitCall = () => Promise.reject(new ConnectError("?", Code.NotFound));
    const clients = { executor: { waitCall } } as unknown as Pick<AdapterClients, "executor">;
    outlived.add({ caller: "k", callId: "1", clients, onEnd: (result) => void ended.push(result) });
    await until(() => outlived.running.size === 0);
    expect(ended).toEqual([]);
  });

  test("closing stops waits and pauses, and nothing is counted afterwards", async () => {
    const outlived = createOutlivedCalls({ retryMs: 60_000 });
    let asked = 0;
    const waitCall = (_request: object, { signal }: { signal: AbortSignal }) => {
      asked += 1;
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    };
    const broken = () => {
      asked += 1;
      return Promise.reject(new ConnectError("away", Code.Unavailable));
    };
    const clients = (wait: object) => ({ executor: { waitCall: wait } }) as unknown as Pick<AdapterClients, "executor">;
    outlived.add({ caller: "k", callId: "waits", clients: clients(waitCall) });
    outlived.add({ caller: "k", callId: "pauses", clients: clients(broken) });
    await until(() => asked === 2);
    await new Promise(setImmediate);
    expect(outlived.running.size).toBe(2);
    outlived.close();
    await until(() => outlived.running.size === 0);
    outlived.add({ caller: "k", callId: "late", clients: clients(waitCall) });
    expect([asked, outlived.running.size]).toEqual([2, 0]);
  });
});
