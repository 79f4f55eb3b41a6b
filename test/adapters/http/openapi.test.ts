import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Effect, type Tool, ToolSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { openapiOf } from "../../../src/adapters/http/openapi.ts";

const at = "#/paths/~1tools~1book/post";

function operationOf(tool: Tool): Record<string, never> {
  const { paths } = openapiOf([tool], { version: "1.2.3", publicUrl: "" }) as unknown as {
    paths: Record<string, { post: Record<string, never> }>;
  };
  return paths[`/tools/${tool.name}`]!.post;
}

describe("the description of tools", () => {
  test("is an OpenAPI document with the service's address, its authentication, and the arguments of every tool", () => {
    const header = (name: string, description: string) => ({
      name,
      in: "header",
      required: false,
      description,
      schema: { type: "string" },
    });
    expect(openapiOf([], { version: "1.2.3", publicUrl: "https://tools.example.com" })).toEqual({
      openapi: "3.1.0",
      info: {
        title: "Jackfield",
        version: "1.2.3",
        description: "Each tool is one operation. Every outcome of a call is a 200.",
      },
      servers: [{ url: "https://tools.example.com" }],
      paths: {},
      components: {
        securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
        parameters: {
          idempotencyKey: header("Idempotency-Key", "The same key again gets the same answer, and the tool runs once."),
          conversationId: header("Jackfield-Conversation-Id", "The conversation that the call belongs to."),
          prefer: header("Prefer", "`wait=SECONDS`, from 1 to 120: how long the answer may take."),
        },
        responses: {
          error: {
            description: "The request was not served.",
            content: {
              "application/json": {
                schema: { type: "object", required: ["error"], properties: { error: { type: "string" } } },
              },
            },
          },
        },
      },
      security: [{ bearer: [] }],
    });
    expect(openapiOf([], { version: "1.2.3", publicUrl: "" })).not.toHaveProperty("servers");
  });

  test("has an operation for each tool with its arguments, and every part of an answer", () => {
    const tool = create(ToolSchema, {
      name: "book",
      description: "Books.",
      effect: Effect.IDEMPOTENT,
      annotations: { title: "Booking" },
      inputSchema: {
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        properties: { seat: { $ref: "#/$defs/seat" }, all: { items: [{ $ref: "#" }] }, $ref: { const: 7 } },
        $defs: { seat: { type: "string", default: null } },
      },
      outputSchema: { type: "object", properties: { again: { $ref: "#/properties/other" } } },
    });
    expect(operationOf(tool)).toEqual({
      operationId: "book",
      summary: "Booking",
      description: "Books.",
      "x-jackfield-effect": "idempotent",
      parameters: [
        { $ref: "#/components/parameters/idempotencyKey" },
        { $ref: "#/components/parameters/conversationId" },
        { $ref: "#/components/parameters/prefer" },
      ],
      requestBody: {
        required: true,
        content: {
          "application/json": {
            schema: {
              type: "object",
              properties: {
                seat: { $ref: `${at}/requestBody/content/application~1json/schema/$defs/seat` },
                all: { prefixItems: [{ $ref: `${at}/requestBody/content/application~1json/schema` }] },
                $ref: { const: 7 },
              },
              $defs: { seat: { type: "string", default: null } },
            },
          },
        },
      },
      responses: {
        "200": {
          description: "The call's outcome.",
          content: {
            "application/json": {
              schema: {
                type: "object",
                required: ["callId", "outcome", "output", "value", "replayed", "truncated"],
                properties: {
                  callId: { type: "string", description: "Send it as Idempotency-Key to get the answer again." },
                  outcome: {
                    type: "string",
                    enum: expect.arrayContaining(["OK", "FAILED", "PENDING"]) as string[],
                  },
                  output: { type: "string", description: "The text that the model reads." },
                  value: {
                    description: "The value that the tool returned; null unless the outcome is OK.",
                    anyOf: [
                      {
                        type: "object",
                        properties: {
                          again: {
                            $ref: `${at}/responses/200/content/application~1json/schema/properties/value/anyOf/0/properties/other`,
                          },
                        },
                      },
                      { type: "null" },
                    ],
                  },
                  replayed: {
                    type: "boolean",
                    description: "The answer was stored by an earlier execution of the same call.",
                  },
                  truncated: { type: "boolean", description: "The output was longer than allowed." },
                },
              },
            },
          },
        },
        default: { $ref: "#/components/responses/error" },
      },
      security: [{ bearer: [] }],
    });
  });

  test("states nothing that is unknown about a tool, and leaves out a schema's `$id`", () => {
    const tool = create(ToolSchema, {
      name: "b~k",
      effect: Effect.WRITE,
      inputSchema: { $id: "https://example.com/x", type: "object", properties: { a: { $ref: "#/$defs/a" } } },
    });
    const operation = operationOf(tool);
    expect(operation).not.toHaveProperty("summary");
    expect(operation).toMatchObject({
      "x-jackfield-effect": "write",
      requestBody: {
        content: {
          "application/json": {
            schema: { properties: { a: { $ref: expect.stringMatching(/^#\/paths\/.*\/schema\/\$defs\/a$/) } } },
          },
        },
      },
    });
    expect(JSON.stringify(operation)).not.toContain("$id");
    expect(JSON.stringify(operation)).toContain(
      '"value":{"description":"The value that the tool returned; null unless the outcome is OK."}',
    );
    const tilde = create(ToolSchema, {
      name: "b~k",
      inputSchema: { type: "object", properties: { a: { $ref: "#x" } } },
    });
    expect(JSON.stringify(operationOf(tilde))).toContain('"$ref":"#x"');
    const reading = create(ToolSchema, {
      name: "b~k",
      effect: Effect.READ,
      inputSchema: { type: "object", properties: { a: { $ref: "#/b" } } },
    });
    expect(operationOf(reading)).toMatchObject({ "x-jackfield-effect": "read" });
    expect(JSON.stringify(operationOf(reading))).toContain("#/paths/~1tools~1b~0k/post/requestBody");
  });
});
