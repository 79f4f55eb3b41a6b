import AjvDraft04 from "ajv-draft-04";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { render } from "velocityjs";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { httpNodes, mcpNodes } from "../../src/adapters/cognigy/export.ts";
import { dataActionFromTool } from "../../src/adapters/genesys/export/data-action.ts";
import { terraformFromDataAction } from "../../src/adapters/genesys/export/terraform.ts";
import { createJackfieldClient } from "../../src/client.ts";
import { startService } from "../support/service.ts";
import { tool, order } from "./listed-tools.ts";

const baseUrl = "https://tools.example.com/";

describe("a tool as a data action of Genesys Cloud", () => {
  const { action, notes, skipped } = dataActionFromTool(order, { baseUrl, conversation: true });

  test("has the format that an import requires", () => {
    expect(skipped).toBeUndefined();
    expect(action).toMatchObject({
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
        timeoutSeconds: 12,
      },
    });
  });

  test("accepts flat scalar inputs, and reports omitted ones", () => {
    expect(action?.contract.input.inputSchema).toMatchObject({
      $schema: "http://json-schema.org/draft-04/schema#",
      type: "object",
      required: ["order_id"],
      properties: {
        order_id: { type: "string", title: "Order id", description: "Number of the order." },
        channel: { type: "string", enum: ["phone", "chat"] },
        jackfieldConversationId: { type: "string" },
      },
    });
    expect(notes).toEqual(['the optional input "tags" is not a text, number or boolean: it is left out']);
  });

  test("returns outcome, output, call id and every scalar of the answer, each with a default", () => {
    expect(action?.config.response).toEqual({
      translationMap: {
        outcome: "$.outcome",
        output: "$.output",
        callId: "$.callId",
        status: "$.value.status",
        total: "$.value.total",
        value_type: "$.value.type",
        value_outcome: "$.value.outcome",
      },
      translationMapDefaults: {
        outcome: '""',
        output: '""',
        callId: '""',
        status: '""',
        total: "null",
        value_type: '""',
        value_outcome: '""',
      },
      successTemplate:
        '{"outcome":${outcome},"output":${output},"callId":${callId},"status":${status},"total":${total},"value_type":${value_type},"value_outcome":${value_outcome}}',
    });
  });

  test("renders, with Velocity, the arguments and an answer that its own contract accepts", () => {
    const args = { order_id: '#W"2378', channel: "chat", jackfieldConversationId: "c-1" };
    const body = render(action?.config.request.requestTemplate ?? "", {
      input: { rawRequest: JSON.stringify(args) },
    });
    expect(JSON.parse(body)).toEqual(args);
    const header = render(action?.config.request.headers["Authorization"] ?? "", {
      credentials: { apiKey: "key-1" },
    });
    expect(header).toBe("Bearer key-1");

    const answer = { outcome: "OK", output: "{}", callId: "c", status: "shipped", total: 7.5 };
    const { translationMapDefaults, successTemplate } = action!.config.response;
    const values = {
      ...translationMapDefaults,
      ...Object.fromEntries(Object.entries(answer).map(([k, v]) => [k, JSON.stringify(v)])),
    };
    const shown: unknown = JSON.parse(render(successTemplate, values));
    const ajv = new AjvDraft04.default({ strict: false });
    expect(ajv.validate(action!.contract.output.successSchema, shown)).toBe(true);
    expect(ajv.validate(action!.contract.input.inputSchema, args)).toBe(true);
    expect(ajv.validate(action!.contract.input.inputSchema, { channel: "fax" })).toBe(false);
  });

  test.each([
    [{ orgId: { type: "string" } }, "reserves"],
    [{ "order.id": { type: "string" } }, "does not accept"],
    [{ order: { type: "object" } }, "is not a text, number or boolean"],
    [{ order: { type: ["string", "number"] } }, "is not a text, number or boolean"],
  ])("is skipped if a required input cannot be expressed: %j", (properties, why) => {
    const input = { type: "object", properties, required: Object.keys(properties) };
    const exported = dataActionFromTool(tool({ input }), { baseUrl, conversation: false });
    expect(exported.action).toBeUndefined();
    expect(exported.skipped).toContain(why);
  });

  test("notes more than four inputs, values that are not identifiers, and missing descriptions", () => {
    const properties = Object.fromEntries(
      ["a", "b", "c", "d", "e"].map((name) => [name, { type: "string", description: name }]),
    );
    const input = {
      properties: { ...properties, b: { enum: ["two words"], description: "b" }, c: { type: "integer" } },
    };
    expect(dataActionFromTool(tool({ input }), { baseUrl, conversation: false }).notes).toEqual([
      expect.stringContaining('the input "b" has allowed values that are not identifiers ("two words")'),
      'the input "c" has no description',
      "it has 5 inputs; an AI Guide takes at most 4",
    ]);
  });

  test.each([
    [0, 3],
    [1, 3],
    [10, 12],
    [300, 60],
  ])("converts a timeout of %i s to %i s", (seconds, expected) => {
    expect(dataActionFromTool(tool({ seconds }), { baseUrl, conversation: false }).action?.config.timeoutSeconds).toBe(
      expected,
    );
  });

  test("has contracts that compile and describe every field, for any schemas", { timeout: 60_000 }, () => {
    const property = fc.oneof(
      fc.record({ type: fc.constantFrom("string", "number", "integer", "boolean", "array", "object", "null") }),
      fc.record({ type: fc.constant(["string", "null"]), enum: fc.uniqueArray(fc.string(), { minLength: 1 }) }),
      fc.record({ description: fc.string(), title: fc.string() }),
    );
    const schema = fc.record({ type: fc.constant("object"), properties: fc.dictionary(fc.string(), property) });
    fc.assert(
      fc.property(schema, schema, fc.boolean(), (input, output, conversation) => {
        const { action } = dataActionFromTool(tool({ input, output }), { baseUrl, conversation });
        for (const contract of [action!.contract.input.inputSchema, action!.contract.output.successSchema]) {
          new AjvDraft04.default({ strict: false }).compile(contract);
          for (const field of Object.values(contract["properties"] as Record<string, { description: string }>))
            expect(field.description.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("is written for Terraform with its own templates escaped", () => {
    const text = terraformFromDataAction(action!);
    expect(text).toContain('resource "genesyscloud_integration_action" "get_order" {');
    expect(text).toContain('"Authorization" = "Bearer $${credentials.apiKey}"');
    expect(text).toContain('request_template     = "$${input.rawRequest}"');
    expect(text).not.toMatch(/[^$]\$\{/);
    const contract = /contract_input {2}= (".*")/.exec(text)?.[1] ?? "";
    expect(JSON.parse(JSON.parse(contract.replaceAll("$${", () => "${")) as string)).toEqual(
      action?.contract.input.inputSchema,
    );
  });
});

test("an exported data action, rendered as Genesys does, is answered by plain HTTP within its own contract", async () => {
  await using service = await startService({ plugins: [{ use: "@jackfield/get-weather" }] });
  const { tools } = await createJackfieldClient({ baseUrl: service.url }).executor.listTools({});
  const { action } = dataActionFromTool(tools[0] as Tool, { baseUrl: service.url, conversation: true });
  const { request, response } = action!.config;
  const args = { location: "London", unit: null, jackfieldConversationId: "c-1" };
  const answer = await fetch(render(request.requestUrlTemplate, {}), {
    method: request.requestType,
    headers: {
      ...request.headers,
      Authorization: render(request.headers["Authorization"] ?? "", { credentials: { apiKey: "k" } }),
    },
    body: render(request.requestTemplate, { input: { rawRequest: JSON.stringify(args) } }),
  });
  expect(answer.status).toBe(200);
  const body = (await answer.json()) as Record<string, unknown> & { value: Record<string, unknown> };
  expect(body).toMatchObject({ outcome: "OK", value: { location: "London", unit: "celsius" } });
  // Every path of the map is `$.name` or `$.value.name`.
  const values = Object.entries(response.translationMap).map(([name, path]) => {
    const [, first = "", second] = path.split(".");
    const found = second === undefined ? body[first] : body.value[second];
    return [name, found === undefined ? response.translationMapDefaults[name] : JSON.stringify(found)];
  });
  const shown: unknown = JSON.parse(
    render(response.successTemplate, Object.fromEntries(values) as Record<string, string>),
  );
  expect(new AjvDraft04.default({ strict: false }).validate(action!.contract.output.successSchema, shown)).toBe(true);
  expect(shown).toMatchObject({ outcome: "OK", location: "London", unit: "celsius" });
});

describe("a tool as flow nodes of Cognigy.AI", () => {
  test("uses one MCP tool node for all tools", () => {
    expect(mcpNodes(baseUrl)).toMatchObject([
      {
        type: "aiAgentJobMCPTool",
        config: { name: "jackfield", mcpServerUrl: "https://tools.example.com/mcp", timeout: 60 },
      },
      { type: "aiAgentJobCallMCPTool", mode: "append" },
    ]);
  });

  test("uses a tool, an answer and a request node for plain HTTP, with the arguments as JSON and the conversation in a header", () => {
    const [definition, answer, request] = httpNodes(order, baseUrl);
    expect(definition).toMatchObject({ type: "aiAgentJobTool", config: { toolId: "get_order", useParameters: true } });
    expect(JSON.parse(definition?.config["parameters"] as string)).toMatchObject({
      type: "object",
      required: ["order_id"],
    });
    expect(answer).toMatchObject({
      type: "aiAgentToolAnswer",
      config: { answer: "{{input.httprequest.result.output}}" },
    });
    expect(request).toMatchObject({
      type: "httpRequest",
      config: {
        url: "https://tools.example.com/tools/get_order",
        type: "POST",
        payloadType: "text",
        payloadText: "{{JSON.stringify(input.aiAgent.toolArgs)}}",
      },
    });
    expect(JSON.parse(request?.config["headers"] as string)).toMatchObject({
      "Content-Type": "application/json",
      "Jackfield-Conversation-Id": "{{input.sessionId}}",
    });
  });
});
