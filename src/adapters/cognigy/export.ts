import type { Tool } from "../../../gen/jackfield/v1/tool_pb.ts";

/** Body of one `POST /v2.0/flows/{flowId}/chart/nodes` request of Cognigy's API. */
export interface FlowNode {
  readonly type: string;
  readonly extension: "@cognigy/basic-nodes";
  /** Position of the node: below `target` as its child, or after it. */
  readonly mode: "appendChild" | "append";
  /** Id of the node to attach it to: the AI Agent's job node, or the id that Cognigy gave the tool node. */
  readonly target: string;
  readonly label: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Placeholder for an id that only Cognigy knows. */
const jobNode = "AI_AGENT_JOB_NODE_ID";
const toolNode = "TOOL_NODE_ID";
/**
 * Time that Cognigy waits for an MCP answer, in seconds: more than our own `answerWithinMs` of 50 s, so that Cognigy
 * does not cut off the answer.
 */
const mcpTimeoutSeconds = 60;

/** Returns the nodes that connect an AI Agent to all tools through MCP. Cognigy lists the tools itself. */
export function mcpNodes(baseUrl: string): FlowNode[] {
  return [
    node("aiAgentJobMCPTool", "appendChild", jobNode, "Jackfield", {
      name: "jackfield",
      mcpServerUrl: `${trimmed(baseUrl)}/mcp`,
      timeout: mcpTimeoutSeconds,
    }),
    node("aiAgentJobCallMCPTool", "append", toolNode, "Call MCP Tool", {}),
  ];
}

/**
 * Returns the nodes of one tool for plain HTTP, in the order in which they must be created: the tool, the node that
 * passes the answer to the model, and the request between the two (Cognigy places the node appended last directly after
 * its target).
 */
export function httpNodes(tool: Tool, baseUrl: string): FlowNode[] {
  const schema = tool.inputSchema ?? {};
  return [
    node("aiAgentJobTool", "appendChild", jobNode, tool.name, {
      toolId: tool.name,
      description: tool.description,
      useParameters: true,
      parameters: JSON.stringify({ ...schema, type: "object", properties: schema["properties"] ?? {} }),
    }),
    node("aiAgentToolAnswer", "append", toolNode, `${tool.name} - Resolve`, {
      answer: "{{input.httprequest.result.output}}",
    }),
    node("httpRequest", "append", toolNode, `${tool.name} - HTTP Request`, {
      url: `${trimmed(baseUrl)}/tools/${encodeURIComponent(tool.name)}`,
      type: "POST",
      headers: JSON.stringify({
        "Content-Type": "application/json",
        Authorization: "Bearer YOUR_JACKFIELD_KEY",
        "Jackfield-Conversation-Id": "{{input.sessionId}}",
      }),
      payloadType: "text",
      payloadText: "{{JSON.stringify(input.aiAgent.toolArgs)}}",
    }),
  ];
}

function node(
  type: string,
  mode: FlowNode["mode"],
  target: string,
  label: string,
  config: FlowNode["config"],
): FlowNode {
  return { type, extension: "@cognigy/basic-nodes", mode, target, label, config };
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}
