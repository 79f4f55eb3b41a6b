import type { Tool } from "../../../gen/jackfield/v1/tool_pb.ts";

/** Body of one `POST /v2.0/flows/{flowId}/chart/nodes` of Cognigy's API. */
export interface FlowNode {
  readonly type: string;
  readonly extension: "@cognigy/basic-nodes";
  /** Where the node goes: below `target` as its child, or behind it. */
  readonly mode: "appendChild" | "append";
  /** Id of the node to attach it to: that of the AI Agent's job, or the id that Cognigy gave the tool node. */
  readonly target: string;
  readonly label: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Stands for an id that only Cognigy knows. */
const jobNode = "AI_AGENT_JOB_NODE_ID";
const toolNode = "TOOL_NODE_ID";
/** Seconds that Cognigy waits for an MCP answer: more than the door's own `answerWithinMs` of 50 s would be cut first. */
const mcpTimeoutSeconds = 60;

/** The nodes that connect an AI Agent to all tools through the MCP door. Cognigy lists the tools itself. */
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
 * The nodes of one tool through the plain HTTP door, in the order in which they are created: the tool, the node that hands
 * the answer to the model, and the request between the two (Cognigy puts what is appended last directly behind its target).
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
