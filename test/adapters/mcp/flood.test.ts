import { type ClientHttp2Session, connect } from "node:http2";
import { expect, test } from "vitest";
import { startService, testTool } from "../../support/service.ts";
import { modernMessage, modernOptions, older, post } from "./mcp-client.ts";

test(
  "of ten thousand listeners half are refused with a message, calls continue, and all slots are free afterwards",
  { timeout: 120_000 },
  async () => {
    await using service = await startService({ plugins: [{ use: testTool("echo") }] });
    const sessions: ClientHttp2Session[] = [];
    const statuses = new Map<number, number>();
    let refusal = "";
    const open = (session: ClientHttp2Session): Promise<void> =>
      new Promise((resolve) => {
        const stream = session.request({
          ":method": "POST",
          ":path": "/mcp",
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...modernOptions("subscriptions/listen", {}, {}).headers,
        });
        stream.on("error", () => resolve());
        stream.once("response", ({ ":status": status = 0 }) => {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          resolve();
        });
        stream.on("data", (chunk: Buffer) => {
          if (refusal === "" && chunk.includes('"error"')) refusal = chunk.toString();
        });
        stream.end(
          JSON.stringify(modernMessage("subscriptions/listen", { notifications: { toolsListChanged: true } })),
        );
      });
    for (let index = 0; index < 100; index += 1) {
      const session = connect(service.url);
      session.on("error", () => {});
      sessions.push(session);
      await Promise.all(Array.from({ length: 100 }, () => open(session)));
    }
    expect([statuses.get(200), statuses.get(503)]).toEqual([5000, 5000]);
    expect((JSON.parse(refusal) as { error: { message: string } }).error.message).toBe(
      "Too many subscriptions are open: at most 5000. Close one, or ask tools/list and tasks/get.",
    );
    const call = await older(service.url, "tools/call", { name: "echo", arguments: {} });
    expect(call.body.result).not.toHaveProperty("isError");
    for (const session of sessions) session.destroy();
    await expect
      .poll(
        async () => {
          const message = modernMessage("subscriptions/listen", { notifications: {} });
          const { status, body } = await post(service.url, message, modernOptions("subscriptions/listen", {}, {}));
          await body?.cancel();
          return status;
        },
        { timeout: 20_000 },
      )
      .toBe(200);
  },
);
