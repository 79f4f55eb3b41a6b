import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Calls } from "../gen/jackfield/v1/calls_pb.ts";
import { Conversations } from "../gen/jackfield/v1/conversations_pb.ts";
import { Jobs, JobState } from "../gen/jackfield/v1/jobs_pb.ts";
import { CallState, ToolExecutor } from "../gen/jackfield/v1/tool_executor_pb.ts";
import { Effect, Outcome } from "../gen/jackfield/v1/tool_pb.ts";
import { ToolPlugin } from "../gen/jackfield/v1/tool_plugin_pb.ts";
import { ToolRegistry } from "../gen/jackfield/v1/tool_registry_pb.ts";
import { modelErrors, rpcErrors } from "../src/errors.ts";
import * as plugin from "../src/plugin/index.ts";
import * as root from "../src/index.ts";
import * as testing from "../src/testing/index.ts";
import * as client from "../src/client.ts";
import * as toolbox from "../src/toolbox/index.ts";

// The public surface, pinned by literals: a change affects users, and belongs into the changelog.

test("the package's entry points", () => {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8")) as {
    exports: object;
  };
  expect(Object.keys(manifest.exports)).toEqual([
    ".",
    "./client",
    "./plugin",
    "./testing",
    "./toolbox",
    "./config.schema.json",
    "./package.json",
  ]);
});

test("the exports of each of them", () => {
  expect(Object.keys(root).sort()).toEqual(["ConfigError", "createJackfield"]);
  expect(Object.keys(plugin).sort()).toEqual([
    "HttpError",
    "ToolError",
    "defineTool",
    "isHttpError",
    "isToolError",
    "path",
  ]);
  expect(Object.keys(client).sort()).toEqual([
    "CallContextSchema",
    "CallState",
    "Calls",
    "ConversationDoneSchema",
    "Conversations",
    "Effect",
    "EraseConversationRequestSchema",
    "EraseConversationResponseSchema",
    "ExecuteToolRequestSchema",
    "ExecuteToolResponseSchema",
    "ExecuteToolsRequestSchema",
    "ExecuteToolsResponseSchema",
    "GrpcTargetSchema",
    "HttpTargetSchema",
    "JobSchema",
    "JobState",
    "Jobs",
    "ModelTurnSchema",
    "Outcome",
    "ProgressSchema",
    "RunConversationRequestSchema",
    "RunConversationResponseSchema",
    "ToolCallSchema",
    "ToolErrorSchema",
    "ToolExecutor",
    "ToolPlugin",
    "ToolRegistry",
    "ToolResultSchema",
    "ToolSchema",
    "ToolTargetSchema",
    "ViolationSchema",
    "createJackfieldClient",
  ]);
  expect(Object.keys(toolbox).sort()).toEqual(["createToolbox"]);
  expect(Object.keys(testing).sort()).toEqual(["startSandbox", "startTool"]);
});

test("the services and their methods", () => {
  const methods = ({ typeName, methods }: DescService): string[] => methods.map(({ name }) => `${typeName}/${name}`);
  expect([ToolExecutor, ToolRegistry, Jobs, Conversations, Calls, ToolPlugin].flatMap(methods)).toEqual([
    "jackfield.v1.ToolExecutor/ExecuteTool",
    "jackfield.v1.ToolExecutor/ExecuteTools",
    "jackfield.v1.ToolExecutor/ListTools",
    "jackfield.v1.ToolExecutor/GetCall",
    "jackfield.v1.ToolExecutor/WaitCall",
    "jackfield.v1.ToolRegistry/RegisterTool",
    "jackfield.v1.ToolRegistry/UnregisterTool",
    "jackfield.v1.Jobs/SubmitJob",
    "jackfield.v1.Jobs/GetJob",
    "jackfield.v1.Jobs/ListJobs",
    "jackfield.v1.Jobs/RetryJob",
    "jackfield.v1.Jobs/CancelJob",
    "jackfield.v1.Conversations/RunConversation",
    "jackfield.v1.Calls/EraseConversation",
    "jackfield.v1.ToolPlugin/Describe",
    "jackfield.v1.ToolPlugin/Execute",
  ]);
});

test("the names of states", () => {
  expect(Outcome).toEqual({
    UNSPECIFIED: 0,
    OK: 1,
    UNKNOWN_TOOL: 2,
    INVALID_ARGUMENTS: 3,
    TIMED_OUT: 4,
    FAILED: 5,
    INVALID_OUTPUT: 6,
    OVERLOADED: 7,
    CANCELLED: 8,
    DENIED: 9,
    CONFLICT: 10,
    UNCERTAIN: 11,
    PENDING: 12,
  });
  expect(Effect).toEqual({ UNSPECIFIED: 0, READ: 1, IDEMPOTENT: 2, WRITE: 3 });
  expect(CallState).toEqual({ UNSPECIFIED: 0, RUNNING: 1, DONE: 2, UNCERTAIN: 3 });
  expect(JobState).toEqual({
    UNSPECIFIED: 0,
    ACCEPTED: 1,
    EXECUTING: 2,
    DELIVERING: 3,
    DONE: 4,
    DEAD: 5,
    CANCELLED: 6,
  });
});

test("the ids of errors", () => {
  expect(Object.keys(modelErrors)).toEqual([
    "unknown-tool",
    "arguments-not-json",
    "conflict",
    "uncertain",
    "failed",
    "not-executed",
    "pending-read",
    "pending-write",
    "overloaded",
    "denied",
    "cancelled",
    "invalid-output",
    "not-serializable",
    "tool-not-ready",
  ]);
  expect(Object.keys(rpcErrors).sort()).toEqual([
    "call-not-found",
    "canceled",
    "deadline",
    "draining",
    "gateway-busy",
    "gateway-failed",
    "id-too-long",
    "internal",
    "invalid-request",
    "job-id-reserved",
    "job-id-taken",
    "job-not-found",
    "job-wrong-state",
    "malformed-message",
    "message-too-large",
    "rate-exceeded",
    "scope-missing",
    "store-unavailable",
    "too-many-calls",
    "tool-name-taken",
    "tool-not-found",
    "unauthenticated",
    "unimplemented",
  ]);
});
