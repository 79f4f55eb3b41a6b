import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Effect, type Tool, ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";

/** A tool as the service lists it. */
export function tool(over: { name?: string; input?: object; output?: object; seconds?: number } = {}): Tool {
  return create(ToolSchema, {
    name: over.name ?? "get_order",
    description: "Look up an order.",
    effect: Effect.READ,
    timeout: create(DurationSchema, { seconds: BigInt(over.seconds ?? 10) }),
    inputSchema: (over.input ?? {}) as Tool["inputSchema"] & object,
    outputSchema: (over.output ?? {}) as Tool["outputSchema"] & object,
  });
}

export const order = tool({
  input: {
    type: "object",
    properties: {
      order_id: { type: "string", description: "Number of the order." },
      channel: { type: ["string", "null"], enum: ["phone", "chat", null], description: "Where it was placed." },
      tags: { type: "array", items: { type: "string" } },
    },
    required: ["order_id"],
  },
  output: {
    type: "object",
    properties: {
      status: { type: "string", description: "State of the order." },
      total: { type: "number" },
      type: { type: "string" },
      outcome: { type: "string" },
      lines: { type: "array" },
    },
  },
});
