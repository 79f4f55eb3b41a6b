import { Code, ConnectError } from "@connectrpc/connect";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createCognigyAdapter } from "../../src/adapters/cognigy/index.ts";
import { cognigyInstruments } from "../../src/adapters/cognigy/payloads.ts";
import { Secret } from "../../src/secret.ts";
import { startAdapter, type AdapterTestOptions } from "./start-adapter.ts";
import { ToolFailure, type SimulatedTool } from "./simulated-tools.ts";

export const path = "/api/v1/llm/tool-callback";
export const usual: Record<string, SimulatedTool> = {
  echo: (args) => args,
  text: () => "plain text",
  fail: () => {
    throw new ToolFailure(Outcome.FAILED, "Tool execution failed or timed out.");
  },
  picky: () => {
    throw new ToolFailure(Outcome.INVALID_ARGUMENTS, "wrong", [
      { path: "/a", message: "must be string" },
      { path: "", message: "must have required property 'b'" },
    ]);
  },
  boom: () => {
    throw new Error("the password is hunter2");
  },
  down: () => {
    throw new ConnectError("the store cannot be reached; nothing has been executed", Code.Unavailable);
  },
};

interface Options extends Partial<AdapterTestOptions> {
  keys?: { name: string; key: string }[];
  maxPending?: number;
  answerWithinMs?: number;
}

export function cognigy({ keys = [], maxPending = 10_000, answerWithinMs = 5000, ...options }: Options = {}) {
  const adapter = createCognigyAdapter({
    answerWithinMs,
    sanitize: "text",
    maxOutput: 49_152,
    maxPending,
    keys: keys.map(({ name, key }) => ({ name, key: new Secret(key) })),
    corsOrigins: ["https://app.cognigy.ai"],
  });
  return startAdapter({ tools: usual, instruments: cognigyInstruments, ...options, adapter });
}
