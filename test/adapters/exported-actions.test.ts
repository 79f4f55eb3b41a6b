import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { type Tool, ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { httpNodes, mcpNodes } from "../../src/adapters/cognigy/export.ts";
import { contractFromTool } from "../../src/adapters/genesys/export/contract.ts";
import { dataActionFromTool } from "../../src/adapters/genesys/export/data-action.ts";
import { terraformFromDataAction } from "../../src/adapters/genesys/export/terraform.ts";

// Exact content of every part of an export.

const baseUrl = "https://tools.example.com//";

function tool(input?: object, output?: object): Tool {
  return create(ToolSchema, {
    name: "get_order",
    description: "Look up an order.",
    ...(input !== undefined && { inputSchema: input as Tool["inputSchema"] & object }),
    ...(output !== undefined && { outputSchema: output as Tool["outputSchema"] & object }),
  });
}

const described = { type: "string", description: "d" };

describe("a data action", () => {
  test("has every part that an import needs", () => {
    const exported = dataActionFromTool(tool({}, { properties: { total: { type: "number" } } }), {
      baseUrl,
      conversation: false,
    });
    const { input, output } = contractFromTool(tool({}, { properties: { total: { type: "number" } } }), {
      conversation: false,
    });
    expect(exported).toEqual({
      tool: "get_order",
      notes: [],
      skipped: undefined,
      action: {
        name: "get_order",
        integrationType: "custom-rest-actions",
        actionType: "custom",
        secure: false,
        config: {
          request: {
            requestUrlTemplate: "https://tools.example.com/tools/get_order",
            requestType: "POST",
            headers: { "Content-Type": "application/json", Authorization: "Bearer ${credentials.apiKey}" },
            requestTemplate: "${input.rawRequest}",
          },
          response: {
            translationMap: {
              outcome: "$.outcome",
              output: "$.output",
              callId: "$.callId",
              total: "$.value.total",
            },
            translationMapDefaults: { outcome: '""', output: '""', callId: '""', total: "null" },
            successTemplate: '{"outcome":${outcome},"output":${output},"callId":${callId},"total":${total}}',
          },
          timeoutSeconds: 7,
        },
        contract: {
          input: { inputSchema: input },
          output: {
            successSchema: {
              $schema: "http://json-schema.org/draft-04/schema#",
              title: "get_order result",
              description: "Answer of the tool get_order.",
              type: "object",
              properties: Object.fromEntries(output.map(({ name, schema }) => [name, schema])),
              additionalProperties: true,
            },
          },
        },
      },
    });
  });

  test("rounds the timeout up to whole seconds", () => {
    const timeout = create(DurationSchema, { seconds: 4n, nanos: 1 });
    const { action } = dataActionFromTool({ ...tool(), timeout }, { baseUrl, conversation: false });
    expect(action?.config.timeoutSeconds).toBe(7);
  });

  test("is written as a complete Terraform resource", () => {
    const { action } = dataActionFromTool(tool(), { baseUrl, conversation: false });
    const json = (value: unknown) => JSON.stringify(JSON.stringify(value));
    const { inputSchema } = action!.contract.input;
    const { successSchema } = action!.contract.output;
    const response = { ...action!.config.response, successTemplate: '{"a":${a},"b":%{b}}' };
    const text = terraformFromDataAction({ ...action!, config: { ...action!.config, response } });
    expect(text).toBe(`resource "genesyscloud_integration_action" "get_order" {
  name                   = "get_order"
  category               = "Jackfield"
  integration_id         = var.integration_id
  secure                 = false
  config_timeout_seconds = 7

  contract_input  = ${json(inputSchema)}
  contract_output = ${json(successSchema)}

  config_request {
    request_url_template = "https://tools.example.com/tools/get_order"
    request_type         = "POST"
    request_template     = "$\${input.rawRequest}"
    headers = {
      "Content-Type" = "application/json"
      "Authorization" = "Bearer $\${credentials.apiKey}"
    }
  }

  config_response {
    translation_map = {
      "outcome" = "$.outcome"
      "output" = "$.output"
      "callId" = "$.callId"
    }
    translation_map_defaults = {
      "outcome" = "\\"\\""
      "output" = "\\"\\""
      "callId" = "\\"\\""
    }
    success_template = "{\\"a\\":$\${a},\\"b\\":%%{b}}"
  }
}
`);
  });
});

describe("the nodes of a flow in Cognigy", () => {
  const extension = "@cognigy/basic-nodes";

  test("are two for MCP", () => {
    expect(mcpNodes(baseUrl)).toEqual([
      {
        type: "aiAgentJobMCPTool",
        extension,
        mode: "appendChild",
        target: "AI_AGENT_JOB_NODE_ID",
        label: "Jackfield",
        config: { name: "jackfield", mcpServerUrl: "https://tools.example.com/mcp", timeout: 60 },
      },
      {
        type: "aiAgentJobCallMCPTool",
        extension,
        mode: "append",
        target: "TOOL_NODE_ID",
        label: "Call MCP Tool",
        config: {},
      },
    ]);
  });

  test("are three per tool for HTTP, in their order of creation", () => {
    const input = { type: "object", properties: { a: described }, required: ["a"] };
    expect(httpNodes({ ...tool(input), name: "get order" }, "https://tools.example.com")).toEqual([
      {
        type: "aiAgentJobTool",
        extension,
        mode: "appendChild",
        target: "AI_AGENT_JOB_NODE_ID",
        label: "get order",
        config: {
          toolId: "get order",
          description: "Look up an order.",
          useParameters: true,
          parameters: JSON.stringify(input),
        },
      },
      {
        type: "aiAgentToolAnswer",
        extension,
        mode: "append",
        target: "TOOL_NODE_ID",
        label: "get order - Resolve",
        config: { answer: "{{input.httprequest.result.output}}" },
      },
      {
        type: "httpRequest",
        extension,
        mode: "append",
        target: "TOOL_NODE_ID",
        label: "get order - HTTP Request",
        config: {
          url: "https://tools.example.com/tools/get%20order",
          type: "POST",
          headers: JSON.stringify({
            "Content-Type": "application/json",
            Authorization: "Bearer YOUR_JACKFIELD_KEY",
            "Jackfield-Conversation-Id": "{{input.sessionId}}",
          }),
          payloadType: "text",
          payloadText: "{{JSON.stringify(input.aiAgent.toolArgs)}}",
        },
      },
    ]);
  });

  test("declare no parameters for a tool without a schema", () => {
    const [node] = httpNodes(tool(), baseUrl);
    expect(node?.config["parameters"]).toBe('{"type":"object","properties":{}}');
  });
});
