import type { Client } from "@connectrpc/connect";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFrom } from "../definitions/names.ts";
import { type OpenaiTool, openaiTools } from "../definitions/openai.ts";

/** The tools that are offered to the model. */
export interface OfferedTools {
  readonly definitions: readonly OpenaiTool[];
  /** Returns the tool's own name for the name that was offered to the model. */
  nameOf(given: string): string;
}

/** Lists all tools of the caller, page by page, in OpenAI's format. */
export async function offeredTools(executor: Client<typeof ToolExecutor>, signal: AbortSignal): Promise<OfferedTools> {
  const tools: Tool[] = [];
  let pageToken = "";
  do {
    const page = await executor.listTools({ pageSize: 1000, pageToken }, { signal });
    tools.push(...page.tools);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  const names = tools.map((tool) => tool.name);
  return { definitions: openaiTools(tools), nameOf: (given) => nameFrom("openai", given, names) };
}
