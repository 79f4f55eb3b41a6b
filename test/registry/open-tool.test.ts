import { describe, expect, test, vi } from "vitest";
import { compileTool } from "../../src/registry/compile-tool.ts";
import { openTool } from "../../src/registry/open-tool.ts";
import { aTool, gate, toolSettings } from "../support/executor.ts";

/** Opens a tool with this `open`, and waits for it as long as given. */
function start(open: () => unknown, waitMs: number, close = () => {}) {
  const definition = aTool({ open, close, execute: () => 1 });
  const info = { use: "t", version: "1.0.0", bundled: false };
  return openTool(compileTool(definition, toolSettings(), info), definition, waitMs);
}

describe("a tool whose open takes long", () => {
  test("delays the start by a bounded time, and works once it is open", async () => {
    const opened = gate();
    const open = vi.fn(async () => (await opened.opened, "state"));
    const tool = await start(open, 1);
    expect(tool.problem).toBe("it is still being opened");
    const checks = [tool.ready(), tool.ready()];
    opened.open();
    await Promise.all(checks);
    expect([tool.problem, tool.state]).toEqual([undefined, "state"]);
    // All of them waited for the same attempt.
    expect(open).toHaveBeenCalledOnce();
  });

  test("is tried again after a failure, one attempt at a time", async () => {
    const [failing, opened] = [gate(), gate()];
    const open = vi
      .fn(() => opened.opened)
      .mockImplementationOnce(async () => {
        await failing.opened;
        throw new Error("no database");
      });
    const tool = await start(open, 1);
    const first = tool.ready();
    failing.open();
    await expect(first).rejects.toThrow("it cannot be opened: no database");
    const again = [tool.ready(), tool.ready()];
    opened.open();
    await Promise.all(again);
    expect(open).toHaveBeenCalledTimes(2);
  });

  test("is closed when it opens after the service was closed", async () => {
    const opened = gate();
    const close = vi.fn();
    const tool = await start(() => opened.opened, 1, close);
    await tool.close();
    expect(close).not.toHaveBeenCalled();
    opened.open();
    await vi.waitFor(() => expect(close).toHaveBeenCalledOnce());
  });
});
