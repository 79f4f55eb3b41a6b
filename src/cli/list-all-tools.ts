import type { Tool } from "../client.ts";
import type { Session } from "./session.ts";

/** Lists the tools of the running service, page by page. */
export function listAllTools(session: Session): Promise<Tool[]> {
  return session.request(async ({ executor }) => {
    const tools: Tool[] = [];
    let pageToken = "";
    do {
      const page = await executor.listTools({ pageSize: 1000, pageToken });
      tools.push(...page.tools);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return tools;
  });
}
