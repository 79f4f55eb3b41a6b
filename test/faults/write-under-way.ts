import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { type Downstream, startDownstream } from "../e2e/support/downstream.ts";
import { sendCallback } from "../e2e/support/requests.ts";
import { type Service, startService, testPlugins } from "../e2e/support/service.ts";
import { until } from "../e2e/support/until.ts";

export const pending = "The request is still being processed. Do not repeat it.";
export const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

/** Replicas, a back office, and a write that is in progress on the first replica. */
export interface WriteUnderWay extends AsyncDisposable {
  readonly replicas: readonly Service[];
  readonly downstream: Downstream;
  /** The answer to the platform's request; `undefined` if its connection broke. */
  readonly answer: Promise<string | undefined>;
  /** Lets the back office execute the request. */
  release(): void;
  /** Repeats the call on this replica, and returns its answer. */
  repeat(replica: Service | undefined): Promise<string>;
}

/**
 * Starts replicas, each with a proxy to the engine, and a write whose request the back office holds. `timeoutMs` is the
 * write's execution deadline: it is taken over 5 s later at the earliest.
 */
export async function startWriteUnderWay(
  tool: "put" | "put_known",
  engineUrls: readonly (string | undefined)[],
  timeoutMs = 2_000,
): Promise<WriteUnderWay> {
  const stack = new AsyncDisposableStack();
  const downstream = stack.use(await startDownstream());
  const replicas = await Promise.all(
    engineUrls.map((url) =>
      startService({
        config: { plugins: testPlugins(downstream.url, timeoutMs), sandbox: false },
        env: url === undefined ? {} : { JACKFIELD_ENGINE_URL: url },
      }),
    ),
  );
  for (const replica of replicas) stack.use(replica);
  const release = downstream.hold();
  const repeat = async (replica: Service | undefined): Promise<string> => {
    const { status, text } = await sendCallback(replica?.url ?? "", "call-1", tool, { id: "thing" });
    return status === 200 ? text : `status ${status}`;
  };
  const answer = repeat(replicas[0]).catch(() => undefined);
  await until("the back office has the request", () => downstream.waiting > 0);
  return { replicas, downstream, answer, release, repeat, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Repeats the call until all replicas give the same answer that is not PENDING, and proves that it does not change. */
export async function settledAnswer({ replicas, repeat, downstream }: WriteUnderWay): Promise<string> {
  let answers: string[] = [];
  await until(
    "every replica gives the same final answer",
    async () => {
      answers = await Promise.all(replicas.map((replica) => repeat(replica).catch(String)));
      await wait(200);
      return new Set(answers).size === 1 && !answers[0]?.includes(pending) && !/status|fetch/.test(answers[0] ?? "");
    },
    40_000,
  );
  expect(await Promise.all(replicas.map(repeat))).toEqual(answers);
  expect(downstream.requests.length).toBeLessThanOrEqual(1);
  return answers[0] as string;
}
