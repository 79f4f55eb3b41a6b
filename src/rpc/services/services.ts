import type { DescService } from "@bufbuild/protobuf";
import { createServiceImplSpec, type ServiceImplSpec } from "@connectrpc/connect";
import { Health } from "../../../gen/health/v1/health_pb.ts";
import { Calls } from "../../../gen/jackfield/v1/calls_pb.ts";
import { Conversations } from "../../../gen/jackfield/v1/conversations_pb.ts";
import { Jobs } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { ToolExecutor } from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolRegistry } from "../../../gen/jackfield/v1/tool_registry_pb.ts";
import type { Limits } from "../../config/config.ts";
import type { Executor } from "../../executor/contract.ts";
import type { JobQueue } from "../../jobs/job-queue.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { createCalls, type CallsParts } from "./calls.ts";
import { createConversations, type RunConversation } from "./conversations.ts";
import { createHealth, type Serving } from "./health.ts";
import { createJobs } from "./jobs.ts";
import { createReflection, ServerReflectionV1, ServerReflectionV1Alpha } from "./reflection.ts";
import { createToolExecutor } from "./tool-executor.ts";
import { createToolRegistry, type RemoteTools } from "./tool-registry.ts";

/** Dependencies of the services. */
export interface ServiceParts {
  readonly executor: Executor;
  readonly registry: Registry;
  readonly queue: JobQueue;
  /** Deletes the records of calls, in the ledger and in memory. Returns the number of calls. */
  readonly eraseCalls: CallsParts["eraseCalls"];
  /** Sources whose jobs are delivered, each for one tenant. */
  readonly deliveries: Readonly<Record<string, { readonly tenant: string }>>;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
  readonly serving: Serving;
  /** Undefined: RegisterTool and UnregisterTool are unimplemented. */
  readonly remoteTools?: RemoteTools | undefined;
  /** Undefined: RunConversation is unimplemented. */
  readonly runConversation?: RunConversation | undefined;
}

/** Creates all services with their implementations: ours, both versions of reflection, and health. */
export function createServices(parts: ServiceParts): readonly ServiceImplSpec[] {
  const own = [
    createServiceImplSpec<typeof ToolExecutor>(
      ToolExecutor,
      createToolExecutor(parts.executor, parts.registry, parts.limits),
    ),
    createServiceImplSpec<typeof ToolRegistry>(ToolRegistry, createToolRegistry(parts.registry, parts.remoteTools)),
    createServiceImplSpec<typeof Jobs>(Jobs, createJobs(parts)),
    createServiceImplSpec<typeof Conversations>(Conversations, createConversations(parts.runConversation)),
    createServiceImplSpec<typeof Calls>(Calls, createCalls(parts)),
  ];
  const described: DescService[] = [
    ...own.map(({ service }) => service),
    Health,
    ServerReflectionV1,
    ServerReflectionV1Alpha,
  ];
  const reflection = createReflection(described);
  const names = described.map(({ typeName }) => typeName);
  return [
    ...own,
    createServiceImplSpec<typeof Health>(Health, createHealth(parts.serving, names)),
    createServiceImplSpec<typeof ServerReflectionV1>(ServerReflectionV1, reflection.v1),
    createServiceImplSpec<typeof ServerReflectionV1Alpha>(ServerReflectionV1Alpha, reflection.v1alpha),
  ];
}
