import { describe, expect, test } from "vitest";
import { type BreakerState, createBreaker, createInFlight, createOrigins } from "../../src/outbound/origins.ts";
import { rejection, scope, startDownstream, startOutbound } from "./downstream.ts";

function breaker() {
  const clock = { now: 0 };
  const changes: BreakerState[] = [];
  const made = createBreaker({
    failures: 3,
    openMs: 1000,
    now: () => clock.now,
    changed: (state) => changes.push(state),
  });
  return { clock, changes, breaker: made };
}

describe("a breaker", () => {
  test("opens only after consecutive failures", () => {
    const { breaker: it, changes } = breaker();
    for (const ending of ["failed", "failed", "answered", "failed", "none", "failed"] as const) it.admit()!(ending);
    expect(it.state).toBe("closed");
    it.admit()!("failed");
    expect(changes).toEqual(["open"]);
    expect(it.admit()).toBeUndefined();
  });

  test("lets one probe through, which closes it or opens it again", () => {
    const { breaker: it, clock, changes } = breaker();
    for (let n = 0; n < 3; n += 1) it.admit()!("failed");
    clock.now = 1000;
    const probe = it.admit()!;
    expect(it.admit()).toBeUndefined();
    probe("failed");
    clock.now = 1999;
    expect(it.admit()).toBeUndefined();
    clock.now = 2000;
    it.admit()!("answered");
    expect(it.admit()).toBeDefined();
    expect(changes).toEqual(["open", "half-open", "open", "half-open", "closed"]);
  });

  test("lets the next request probe if a probe was given up", () => {
    const { breaker: it, clock } = breaker();
    for (let n = 0; n < 3; n += 1) it.admit()!("failed");
    clock.now = 1000;
    it.admit()!("none");
    expect(it.admit()).toBeDefined();
  });

  test("ignores requests from before its last change", () => {
    const { breaker: it, clock } = breaker();
    const early = it.admit()!;
    for (let n = 0; n < 3; n += 1) it.admit()!("failed");
    early("answered");
    expect(it.state).toBe("open");
    clock.now = 1000;
    it.admit()!("answered");
    early("failed");
    expect(it.state).toBe("closed");
  });
});

describe("a dead downstream", () => {
  test("with 200 callers: the breaker opens, the others fail fast, a probe detects its return (hazard 56)", async () => {
    let dead = true;
    await using api = await startDownstream((response, request) => {
      if (dead) request.socket.destroy();
      else response.end("{}");
    });
    await using healthy = await startDownstream((response) => response.end("{}"));
    const clock = { now: 0 };
    await using outbound = startOutbound({ breakerOpenMs: 1000, now: () => clock.now });
    const http = outbound.httpFor(scope({ origins: [api.origin, healthy.origin] }));
    const words = await Promise.all(
      Array.from({ length: 200 }, async () => (await rejection(http(api.origin))).message),
    );
    expect(words.filter((text) => text === "External API is not answering at present.").length).toBeGreaterThan(100);
    expect(api.requests.length).toBeLessThanOrEqual(64 + 20);
    expect(outbound.changes).toEqual([[api.origin, "open"]]);

    const sent = api.requests.length;
    expect((await rejection(http(api.origin))).message).toBe("External API is not answering at present.");
    expect(api.requests).toHaveLength(sent);
    expect((await http(healthy.origin)).status).toBe(200);

    dead = false;
    clock.now = 1000;
    expect((await http(api.origin)).status).toBe(200);
    expect((await http(api.origin)).status).toBe(200);
    expect(outbound.changes.map(([, state]) => state)).toEqual(["open", "half-open", "closed"]);
  });

  test("that only times out opens the breaker; one that refuses requests or fails some of them does not", async () => {
    await using api = await startDownstream((response, request) => {
      const status = Number(request.url!.slice(1));
      if (status > 0) response.writeHead(status).end();
    });
    await using outbound = startOutbound({ breakerFailures: 3 });
    const ask = (path: string, within: number) =>
      rejection(outbound.httpFor(scope({ origins: [api.origin], within, retry: { retries: 0 } }))(api.origin + path));
    for (const status of [400, 401, 404, 429, 500]) for (let n = 0; n < 3; n += 1) await ask(`/${status}`, 5000);
    expect(outbound.changes).toEqual([]);
    for (let n = 0; n < 3; n += 1) expect((await ask("/silence", 30)).name).toBe("TimeoutError");
    expect(outbound.changes).toEqual([[api.origin, "open"]]);
  });

  test("that is silent for the maximum time of a request without deadline opens the breaker", async () => {
    await using api = await startDownstream(() => {});
    await using outbound = startOutbound({ breakerFailures: 1 });
    const scopeOfSend = { signal: AbortSignal.timeout(30), configuredOrigins: new Set([api.origin]) };
    expect((await rejection(outbound.send(api.origin, {}, scopeOfSend))).name).toBe("TimeoutError");
    expect(outbound.changes).toEqual([[api.origin, "open"]]);
  });

  test.each([502, 503, 504])("opens the breaker if a proxy answers %d in its place", async (status) => {
    await using api = await startDownstream((response) => response.writeHead(status).end());
    await using outbound = startOutbound({ breakerFailures: 2 });
    const ask = () => rejection(outbound.httpFor(scope({ origins: [api.origin], retry: { retries: 0 } }))(api.origin));
    await ask();
    expect(outbound.changes).toEqual([]);
    await ask();
    expect(outbound.changes).toEqual([[api.origin, "open"]]);
  });

  test("is not declared dead by an unusable answer, or by requests that are not sent", async () => {
    await using api = await startDownstream((response, request) => {
      if (request.url === "/dead") response.destroy();
      else response.end("x".repeat(20));
    });
    await using outbound = startOutbound({ breakerFailures: 2, downstreamBytes: 10 });
    const ask = (path: string, over = {}) =>
      rejection(outbound.httpFor(scope({ origins: [api.origin], retry: { retries: 0 }, ...over }))(api.origin + path));
    await ask("/dead");
    expect(await ask("/", { deadline: 0 })).toMatchObject({ problem: "late" });
    expect(await ask("/")).toMatchObject({ problem: "content" });
    await ask("/dead");
    expect(outbound.changes).toEqual([]);
    await ask("/dead");
    expect(outbound.changes).toEqual([[api.origin, "open"]]);
  });

  test("is declared dead by a signal that fires after the execution deadline, whatever its reason", async () => {
    await using api = await startDownstream(() => {});
    await using outbound = startOutbound({ breakerFailures: 1 });
    for (const over of [Infinity, 0]) {
      let deadline = Infinity;
      const controller = new AbortController();
      const one = scope({ origins: [api.origin], signal: controller.signal });
      Object.defineProperty(one, "deadline", { get: () => deadline });
      const request = rejection(outbound.httpFor(one)(`${api.origin}/${over}`));
      await expect.poll(() => api.requests.some(({ url }) => url === `/${over}`)).toBe(true);
      deadline = over;
      controller.abort(new Error("over"));
      expect((await request).message).toBe("over");
      expect(outbound.changes).toEqual(over === 0 ? [[api.origin, "open"]] : []);
    }
  });

  test("is not declared dead by callers that disconnect", async () => {
    await using api = await startDownstream(() => {});
    await using outbound = startOutbound({ breakerFailures: 1 });
    const controller = new AbortController();
    const request = outbound.httpFor(scope({ origins: [api.origin], signal: controller.signal }))(api.origin);
    await expect.poll(() => api.requests.length).toBe(1);
    controller.abort(new Error("gone"));
    await rejection(request);
    expect(outbound.changes).toEqual([]);
  });
});

describe("requests in flight", () => {
  test("are limited per origin across tools; the others wait in line and are all answered", async () => {
    let under = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    await using api = await startDownstream((response) => {
      most = Math.max(most, ++under);
      waiting.push(() => {
        under -= 1;
        response.end("{}");
      });
    });
    await using outbound = startOutbound({ inFlightPerOrigin: 4 });
    const calls = Array.from({ length: 20 }, () => outbound.httpFor(scope({ origins: [api.origin] }))(api.origin));
    for (let left = calls.length; left > 0; left -= 1) {
      await expect.poll(() => waiting.length, { interval: 1 }).toBe(Math.min(4, left));
      waiting.shift()!();
    }
    await Promise.all(calls);
    expect(most).toBe(4);
    expect(api.requests).toHaveLength(20);
  });

  test("do not include a waiting caller that gives up", async () => {
    const limit = createInFlight(1, (work) => work());
    const never = new AbortController().signal;
    expect(limit.enter(never)).toBe(undefined);
    const controller = new AbortController();
    const reason = new Error("gone");
    const second = limit.enter(controller.signal);
    const third = limit.enter(never);
    controller.abort(reason);
    expect(await rejection(second!)).toBe(reason);
    expect(limit.waiting).toBe(1);
    limit.leave();
    await third;
    limit.leave();
    expect([limit.running, limit.waiting]).toEqual([0, 0]);
  });
});

describe("a slot for requests in flight", () => {
  const never = new AbortController().signal;

  test("passes to a waiting request only when the pacer lets it, and to nobody who came later", async () => {
    const paced: (() => void)[] = [];
    const limit = createInFlight(1, (work) => void paced.push(work));
    expect(limit.enter(never)).toBe(undefined);
    const second = limit.enter(never);
    limit.leave();
    const third = limit.enter(never);
    expect([limit.running, limit.waiting]).toEqual([1, 2]);
    paced.shift()!();
    await second;
    expect([limit.running, limit.waiting]).toEqual([1, 1]);
    limit.leave();
    paced.shift()!();
    await third;
  });

  test("is free again if the waiting request gives up before it gets the slot", async () => {
    const paced: (() => void)[] = [];
    const limit = createInFlight(1, (work) => void paced.push(work));
    const controller = new AbortController();
    expect(limit.enter(never)).toBe(undefined);
    const second = limit.enter(controller.signal);
    limit.leave();
    controller.abort(new Error("gone"));
    await rejection(second!);
    for (const work of paced) work();
    expect([limit.running, limit.waiting]).toEqual([0, 0]);
  });
});

describe("the states of origins", () => {
  test("are dropped when there are a thousand, except those in use and those of dead origins; the metric follows", () => {
    const clock = { now: 0 };
    const limits: string[] = [];
    const shown: Record<string, BreakerState> = {};
    const stateOf = createOrigins({
      inFlightPerOrigin: (origin) => limits.push(origin),
      breakerFailures: 1,
      breakerOpenMs: 1000,
      now: () => clock.now,
      metrics: { breakerChanged: (origin, state) => void (shown[origin] = state) },
      pace: (work) => work(),
    });
    const states = Object.fromEntries(["idle", "busy", "dead", "risen"].map((name) => [name, stateOf(name)]));
    void states["busy"]!.inFlight.enter(AbortSignal.any([]));
    states["risen"]!.breaker.admit()!("failed");
    clock.now = 1000;
    states["dead"]!.breaker.admit()!("failed");
    for (let n = 4; n < 1000; n += 1) stateOf(`https://${n}.example.com`);
    expect(stateOf("idle")).toBe(states["idle"]);
    expect(limits).toHaveLength(1000);
    stateOf("https://one-more.example.com");
    expect(["idle", "busy", "dead", "risen"].filter((name) => stateOf(name) === states[name])).toEqual([
      "busy",
      "dead",
    ]);
    expect(shown).toEqual({ dead: "open", risen: "closed" });
  });
});
