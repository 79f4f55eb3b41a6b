import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { CallState, type WaitCallResponse, WaitCallResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AdapterClients } from "../../src/adapters/adapter.ts";
import { createPendingCalls } from "../../src/adapters/answer-route.ts";
import { eventText } from "../../src/adapters/sse.ts";
import { until } from "./stand.ts";

describe("the text of an event", () => {
  test("whatever the data, a parser reads one event with the same lines", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "\r", "\n", ":", " ", "ü", "\u2028", "d") }), (data) => {
        const events: EventSourceMessage[] = [];
        const parser = createParser({ onEvent: (event) => void events.push(event) });
        parser.feed(eventText({ event: "x", data }));
        expect(events).toEqual([{ event: "x", id: undefined, data: data.replace(/\r\n|\r/g, "\n") }]);
      }),
    );
  });

  test("a name cannot break out of its line", () => {
    expect(() => eventText({ event: "x\ndata: y", data: "" })).toThrow(TypeError);
    expect(() => eventText({ event: "x\r", data: "" })).toThrow(TypeError);
  });
});

describe("pending calls", () => {
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

  test("a call is counted until it has ended, and its result is reported once", async () => {
    const calls = executor();
    const pending = createPendingCalls({ limit: 2 });
    const ended: string[] = [];
    for (const callId of ["1", "2"]) {
      calls.start(callId);
      const onEnd = (result: ToolResult): void => void ended.push(result.callId);
      pending.outlived({ caller: "k", callId, clients: calls.clients, onEnd });
      pending.outlived({ caller: "k", callId, clients: calls.clients, onEnd });
    }
    expect([pending.begin("k", "3"), pending.begin("other", "1"), pending.count]).toEqual([false, false, 2]);
    expect([pending.begin("k", "1"), pending.count]).toEqual([true, 3]);
    pending.end();
    calls.end("1", CallState.RUNNING);
    await new Promise(setImmediate);
    expect(pending.count).toBe(2);
    calls.end("1");
    await until(() => pending.count === 1);
    calls.end("2");
    await until(() => pending.count === 0);
    expect(ended).toEqual(["1", "2"]);
    pending.close();
  });

  test("a call whose state cannot be read stays counted until it can", async () => {
    const calls = executor();
    const pending = createPendingCalls({ limit: 1, retryMs: 1 });
    calls.start("1");
    calls.breakOff(true);
    pending.outlived({ caller: "k", callId: "1", clients: calls.clients });
    await new Promise(setImmediate);
    expect(pending.count).toBe(1);
    calls.breakOff(false);
    calls.end("1");
    await until(() => pending.count === 0);
    pending.close();
  });

  test("a call that runs for longer than a day is no longer counted", async () => {
    let time = 0;
    const calls = executor();
    const pending = createPendingCalls({ limit: 1, staleAfterMs: 1000, now: () => time });
    calls.start("a");
    pending.outlived({ caller: "", callId: "a", clients: calls.clients });
    expect(pending.begin("", "b")).toBe(false);
    time = 1001;
    calls.end("a", CallState.RUNNING);
    await until(() => pending.begin("", "b"));
    pending.close();
  });
});
