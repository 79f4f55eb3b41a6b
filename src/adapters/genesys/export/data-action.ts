import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../../../gen/jackfield/v1/tool_pb.ts";
import { type Contract, contractFromTool, type OutputField } from "./contract.ts";

/** An importable Web Services data action of Genesys Cloud. */
export interface DataAction {
  readonly name: string;
  readonly integrationType: "custom-rest-actions";
  readonly actionType: "custom";
  readonly secure: boolean;
  readonly config: {
    readonly request: {
      readonly requestUrlTemplate: string;
      readonly requestType: "POST";
      readonly headers: Readonly<Record<string, string>>;
      readonly requestTemplate: string;
    };
    readonly response: {
      readonly translationMap: Readonly<Record<string, string>>;
      readonly translationMapDefaults: Readonly<Record<string, string>>;
      readonly successTemplate: string;
    };
    readonly timeoutSeconds: number;
  };
  readonly contract: {
    readonly input: { readonly inputSchema: JsonObject };
    readonly output: { readonly successSchema: JsonObject };
  };
}

/**
 * A tool as a data action, with notes for the person who imports it. `action` is undefined if the tool cannot be one.
 */
export interface DataActionExport {
  readonly tool: string;
  readonly action: DataAction | undefined;
  readonly notes: readonly string[];
  readonly skipped: string | undefined;
}

/** The address that data actions call, and additions to their contract. */
export interface DataActionOptions {
  /** Public URL of the service, such as `https://tools.example.com`. */
  readonly baseUrl: string;
  /** Whether to add the optional input `jackfieldConversationId`. */
  readonly conversation: boolean;
}

/** Time that Genesys waits beyond the tool's own timeout, and the bounds that Genesys imposes, in seconds. */
const timeout = { beyondTool: 2, min: 3, max: 60, toolDefault: 5 };

/** Creates a data action that calls `POST /tools/{name}`. Genesys replaces the values in `${…}`. */
export function dataActionFromTool(tool: Tool, options: DataActionOptions): DataActionExport {
  const contract = contractFromTool(tool, options);
  const { notes, skipped } = contract;
  return {
    tool: tool.name,
    notes,
    skipped,
    action: skipped === undefined ? actionFrom(tool, contract, options.baseUrl) : undefined,
  };
}

function actionFrom(tool: Tool, { input, output }: Contract, baseUrl: string): DataAction {
  return {
    name: tool.name,
    integrationType: "custom-rest-actions",
    actionType: "custom",
    secure: false,
    config: {
      request: {
        requestUrlTemplate: `${baseUrl.replace(/\/+$/, "")}/tools/${encodeURIComponent(tool.name)}`,
        requestType: "POST",
        headers: { "Content-Type": "application/json", Authorization: "Bearer ${credentials.apiKey}" },
        requestTemplate: "${input.rawRequest}",
      },
      response: {
        translationMap: Object.fromEntries(output.map(({ name, jsonPath }) => [name, jsonPath])),
        translationMapDefaults: Object.fromEntries(output.map(({ name, fallback }) => [name, fallback])),
        successTemplate: `{${output.map(({ name }) => `${JSON.stringify(name)}:\${${name}}`).join(",")}}`,
      },
      timeoutSeconds: timeoutSeconds(tool),
    },
    contract: { input: { inputSchema: input }, output: { successSchema: successSchema(tool, output) } },
  };
}

function successSchema(tool: Tool, output: readonly OutputField[]): JsonObject {
  return {
    $schema: "http://json-schema.org/draft-04/schema#",
    title: `${tool.name} result`,
    description: `Answer of the tool ${tool.name}.`,
    type: "object",
    properties: Object.fromEntries(output.map(({ name, schema }) => [name, schema])),
    additionalProperties: true,
  };
}

function timeoutSeconds({ timeout: tool }: Tool): number {
  const seconds = tool === undefined ? timeout.toolDefault : Number(tool.seconds) + Math.ceil(tool.nanos / 1e9);
  return Math.min(timeout.max, Math.max(timeout.min, seconds + timeout.beyondTool));
}
