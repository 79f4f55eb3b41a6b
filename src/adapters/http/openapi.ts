import type { JsonObject } from "@bufbuild/protobuf";
import { Effect, type Tool } from "../../../gen/jackfield/v1/tool_pb.ts";
import { argumentsSchema } from "../../definitions/parts.ts";
import { embeddedSchema } from "./embedded-schema.ts";
import { outcomeNames } from "./payloads.ts";

/** Options of the description. */
export interface OpenapiOptions {
  readonly version: string;
  /** Public URL of the service. Empty if unknown. */
  readonly publicUrl: string;
}

const effectNames: ReadonlyMap<Effect, string> = new Map([
  [Effect.READ, "read"],
  [Effect.IDEMPOTENT, "idempotent"],
]);

/** Returns the OpenAPI 3.1 description of tools, with one operation for each. */
export function openapiOf(tools: readonly Tool[], { version, publicUrl }: OpenapiOptions): JsonObject {
  return {
    openapi: "3.1.0",
    info: { title: "Jackfield", version, description: "Each tool is one operation. Every outcome of a call is a 200." },
    ...(publicUrl !== "" && { servers: [{ url: publicUrl }] }),
    paths: Object.fromEntries(tools.map((tool) => [`/tools/${tool.name}`, { post: operationOf(tool) }])),
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
  };
}

function operationOf(tool: Tool): JsonObject {
  const at = `#/paths/${pointerPart(`/tools/${tool.name}`)}/post`;
  const json = pointerPart("application/json");
  const title = tool.annotations?.title ?? "";
  return {
    operationId: tool.name,
    ...(title !== "" && { summary: title }),
    description: tool.description,
    "x-jackfield-effect": effectNames.get(tool.effect) ?? "write",
    parameters: ["idempotencyKey", "conversationId", "prefer"].map((name) => ({
      $ref: `#/components/parameters/${name}`,
    })),
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: embeddedSchema(argumentsSchema(tool), `${at}/requestBody/content/${json}/schema`),
        },
      },
    },
    responses: {
      "200": {
        description: "The call's outcome.",
        content: {
          "application/json": {
            schema: answerSchema(tool, `${at}/responses/200/content/${json}/schema/properties/value/anyOf/0`),
          },
        },
      },
      default: { $ref: "#/components/responses/error" },
    },
    security: [{ bearer: [] }],
  };
}

function answerSchema({ outputSchema }: Tool, at: string): JsonObject {
  const value: JsonObject =
    outputSchema === undefined ? {} : { anyOf: [embeddedSchema(outputSchema, at), { type: "null" }] };
  return {
    type: "object",
    required: ["callId", "outcome", "output", "value", "replayed", "truncated"],
    properties: {
      callId: { type: "string", description: "Send it as Idempotency-Key to get the answer again." },
      outcome: { type: "string", enum: [...outcomeNames] },
      output: { type: "string", description: "The text that the model reads." },
      value: { description: "The value that the tool returned; null unless the outcome is OK.", ...value },
      replayed: { type: "boolean", description: "The answer was stored by an earlier execution of the same call." },
      truncated: { type: "boolean", description: "The output was longer than allowed." },
    },
  };
}

function header(name: string, description: string): JsonObject {
  return { name, in: "header", required: false, description, schema: { type: "string" } };
}

function pointerPart(text: string): string {
  return text.replaceAll("~", "~0").replaceAll("/", "~1");
}
