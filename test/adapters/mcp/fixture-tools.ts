import { setTimeout as wait } from "node:timers/promises";
import { defineTool, type JsonSchema, type Tool, ToolError } from "jackfield/plugin";

const anyContact: JsonSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line no-thenable
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

const withRegion: JsonSchema = {
  type: "object",
  properties: { region: { type: "string", "x-mcp-header": "Region" } },
};

/** The tools that the official suite requires of a server, by name. */
export const fixtureTools: Readonly<Record<string, Tool>> = Object.fromEntries(
  [
    content("test_simple_text", () => "This is a simple text response for testing."),
    content("test_image_content", () => ({ content: [image()] })),
    content("test_audio_content", () => ({
      content: [{ type: "audio", data: "UklGRiQAAABXQVZFZm10IA==", mimeType: "audio/wav" }],
    })),
    content("test_embedded_resource", () => ({
      content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
    })),
    content("test_multiple_content_types", () => ({
      content: [
        { type: "text", text: "Multiple content types test:" },
        image(),
        resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
      ],
    })),
    content("test_error_handling", () => {
      throw new ToolError("This tool intentionally returns an error for testing");
    }),
    content("test_logging_tool", () => "nothing is logged"),
    content("test_streaming_elicitation", () => "nothing is asked"),
    content("confirm_delete", () => "nothing is asked"),
    defineTool({
      name: "test_tool_with_progress",
      description: "Reports its progress three times.",
      inputSchema: { type: "object" },
      effect: "read",
      async execute(_args, { progress }) {
        for (const fraction of [0, 0.5, 1]) {
          progress({ fraction, message: `${fraction * 100} of 100` });
          await wait(50);
        }
        return "done";
      },
    }),
    defineTool({
      name: "test_trigger_tool_change",
      description: "Registers a tool, or withdraws it where it is registered.",
      inputSchema: { type: "object" },
      configSchema: { type: "object", properties: { baseUrl: { type: "string" } }, required: ["baseUrl"] } as const,
      async execute(_args, { http, config }) {
        const rpc = (method: string, json: object) =>
          http(`${config.baseUrl}/jackfield.v1.ToolRegistry/${method}`, { method: "POST", json });
        try {
          await rpc("UnregisterTool", { name: "zz_extra" });
          return "withdrawn";
        } catch {
          const tool = { name: "zz_extra", description: "Comes and goes.", inputSchema: { type: "object" } };
          await rpc("RegisterTool", { tool, target: { http: { url: "https://tools.example.com/zz" } } });
          return "registered";
        }
      },
    }),
    defineTool({
      name: "json_schema_2020_12_tool",
      description: "Takes what JSON Schema 2020-12 can say.",
      effect: "read",
      inputSchema: anyContact,
      execute: () => "taken",
    }),
    defineTool({
      name: "x_mcp_tool",
      description: "Has an argument that is repeated in a header.",
      inputSchema: withRegion,
      effect: "read",
      execute: (args) => String((args as { region?: string }).region),
    }),
    defineTool({
      name: "greet",
      description: "Greets.",
      inputSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
      effect: "read",
      execute: ({ name }) => `Hello, ${name}!`,
    }),
    defineTool({
      name: "slow_compute",
      description: "Takes its time.",
      inputSchema: { type: "object", properties: { seconds: { type: "number" }, label: { type: "string" } } },
      effect: "read",
      timeoutMs: 3000,
      async execute({ seconds = 0, label = "" }, { signal }) {
        if (seconds > 0) await wait(seconds * 1000, undefined, { signal });
        return `computed ${label}`;
      },
    }),
    defineTool({
      name: "failing_job",
      description: "Fails after a while.",
      inputSchema: { type: "object" },
      effect: "read",
      async execute() {
        await wait(500);
        throw new ToolError("job failed");
      },
    }),
  ].map((tool) => [tool.name, tool as Tool]),
);

function content(name: string, answer: () => unknown): Tool {
  return defineTool({
    name,
    description: "Answers with fixed content.",
    inputSchema: { type: "object" },
    effect: "read",
    execute: answer,
  });
}

function image(): object {
  const data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  return { type: "image", data, mimeType: "image/png" };
}

function resource(uri: string, mimeType: string, text: string): object {
  return { type: "resource", resource: { uri, mimeType, text } };
}
