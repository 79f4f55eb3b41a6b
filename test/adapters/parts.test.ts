import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { createPendingCalls } from "../../src/adapters/pending-calls.ts";
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
  test("stale ones leave as they end, are asked about a few at a time, and unclear ones stay", async () => {
    const running = new Set(Array.from({ length: 100 }, (_, n) => `${n}`));
    let asking = 0;
    let most = 0;
    let broken = true;
    const pending = createPendingCalls({
      limit: 200,
      sweepEveryMs: 1,
      async stillRuns(_keyName, callId) {
        if (broken) throw new Error("the store is down");
        most = Math.max(most, (asking += 1));
        await new Promise(setImmediate);
        asking -= 1;
        return running.has(callId);
      },
    });
    for (const id of running) {
      pending.began();
      pending.answered("k", id, true);
    }
    expect(pending.count).toBe(100);
    broken = false;
    running.clear();
    running.add("99");
    await until(() => pending.count === 1);
    expect(pending.admits("k", "99")).toBe(true);
    expect(most).toBeLessThanOrEqual(32);
    running.clear();
    await until(() => pending.count === 0);
    pending.close();
  });

  test("a call that nobody hears of for too long is given up", async () => {
    let time = 0;
    const pending = createPendingCalls({
      limit: 1,
      sweepEveryMs: 1,
      staleAfterMs: 1000,
      now: () => time,
      stillRuns: async () => true,
    });
    pending.began();
    pending.answered("", "a", true);
    expect(pending.admits("", "b")).toBe(false);
    time = 1001;
    await until(() => pending.admits("", "b"));
    pending.close();
  });
});
