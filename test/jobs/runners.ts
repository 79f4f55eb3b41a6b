import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import type { HandlerContext } from "@connectrpc/connect";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { pino } from "pino";
import { afterEach, beforeEach } from "vitest";
import type { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import {
  ExecuteToolResponseSchema,
  ExecuteToolsResponseSchema,
  ToolExecutor,
} from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallContext, ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Deliveries, DeliveryResult, Delivery } from "../../src/jobs/delivery.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import type { JobQueue, JobRecord, JobWorker } from "../../src/jobs/job-queue.ts";
import { createJobRunner } from "../../src/jobs/runner.ts";
import type { JobRunnerOptions } from "../../src/jobs/runner.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { SqliteStore } from "../../src/store/sqlite.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

/** A request to an executor: one call or several. */
export interface ExecutorRequest {
  readonly calls: readonly ToolCall[];
  readonly context?: CallContext | undefined;
}

/** A client whose executor answers OK, or `outcomeOf()`, to every call, unless `before` throws; and its requests. */
export function anExecutor(
  before: (request: ExecutorRequest, context: HandlerContext) => unknown = () => {},
  outcomeOf: () => Outcome = () => Outcome.OK,
) {
  const requests: ExecutorRequest[] = [];
  const execute = async (request: ExecutorRequest, context: HandlerContext): Promise<ToolResult[]> => {
    requests.push(request);
    await before(request, context);
    return request.calls.map(({ id, name }) =>
      create(ToolResultSchema, { callId: id, name, outcome: outcomeOf(), output: `answer ${requests.length}` }),
    );
  };
  const transport = createRouterTransport(({ rpc }) => {
    rpc(ToolExecutor.method.executeTool, async ({ call, context: callContext }, context) => {
      const [result] = await execute({ calls: [call!], context: callContext }, context);
      return create(ExecuteToolResponseSchema, { result: result! });
    });
    rpc(ToolExecutor.method.executeTools, async function* (request, context) {
      const results = await execute(request, context);
      for (const result of results)
        yield create(ExecuteToolsResponseSchema, { event: { case: "result", value: result } });
      yield create(ExecuteToolsResponseSchema, { event: { case: "done", value: { results } } });
    });
  });
  return { requests, client: createClient(ToolExecutor, transport) };
}

/** A delivery that returns these answers in turn, then the last one again; and the records of its tries. */
export function aDelivery(...answers: (DeliveryResult | Error)[]): { tries: JobRecord[]; delivery: Delivery } {
  const tries: JobRecord[] = [];
  return {
    tries,
    delivery: async (record) => {
      tries.push(record);
      const answer = answers[Math.min(tries.length, answers.length) - 1];
      if (answer instanceof Error) throw answer;
      return answer ?? { kind: "delivered" };
    },
  };
}

/** The deliveries of the tenant that records belong to. */
export const to = (send: Delivery): Deliveries => ({ genesys: { tenant: "default", send } });

export const delivered: string[] = [];
export const telemetry: JobRunnerOptions["telemetry"] = {
  log: pino({ level: "silent" }),
  begin: (_name, parent) => ({ context: parent ?? ROOT_CONTEXT, span: undefined }),
  metrics: {
    executed() {},
    rpcServed() {},
    accessRefused() {},
    measureFor: () => () => {},
    breakerChanged() {},
    gauge() {},
    delivered: ({ platform, result }) => void delivered.push(`${platform} ${result}`),
  },
  extract: () => undefined,
  inject: () => ({ "x-trace": "given" }),
  redact: (text) => text.replaceAll("s3cret", "[secret]"),
};

/** Runners on an embedded queue of their own, which are stopped after each test. */
export function useRunners() {
  let folder: ReturnType<typeof scratchFolder>;
  let store: SqliteStore;
  let queue: JobQueue;
  const runners: JobWorker[] = [];

  beforeEach(async () => {
    folder = scratchFolder();
    store = await openSqliteStore({ folder: folder.path });
    queue = createSqliteJobQueue(store);
  });

  afterEach(async () => {
    for (const runner of runners.splice(0)) await runner.stop(AbortSignal.timeout(1_000));
    await store.close();
    folder[Symbol.dispose]();
  });

  function run(
    options: Partial<JobRunnerOptions> & Pick<JobRunnerOptions, "executorFor">,
    on: JobQueue = queue,
  ): JobWorker {
    const runner = createJobRunner({
      queue: on,
      deliveries: {},
      telemetry,
      retryForMs: 60_000,
      backoff: () => 20,
      ...options,
    });
    runners.push(runner);
    return runner;
  }

  return {
    run,
    queue: () => queue,
    store: () => store,
    stateOf: async (record: JobRecord): Promise<JobState | undefined> => (await queue.get(record.job.id))?.job.state,
  };
}
