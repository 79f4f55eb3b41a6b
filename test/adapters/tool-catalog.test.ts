import { describe, expect, test } from "vitest";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AdapterClients } from "../../src/adapters/adapter.ts";
import { createToolCatalogs } from "../../src/adapters/tool-catalog.ts";
import type { Caller } from "../../src/auth/caller.ts";

describe("the tool catalog of a caller", () => {
  const caller = { name: "crm" } as Caller;
  const tool = (name: string) => ({ name }) as Tool;

  function start(...pages: Tool[][]) {
    const clock = { now: 0 };
    const requests: object[] = [];
    let listing = pages;
    const executor = {
      async listTools(request: { pageToken: string }) {
        requests.push(request);
        const page = Number(request.pageToken || 0);
        return { tools: listing[page], nextPageToken: page + 1 < listing.length ? String(page + 1) : "" };
      },
    };
    const clients = { executor } as unknown as AdapterClients;
    const catalogs = createToolCatalogs({ now: () => clock.now });
    return { clock, requests, clients, catalogs, list: (...changed: Tool[][]) => void (listing = changed) };
  }

  test("is listed page by page, once for all requests within a second", async () => {
    const [a, b] = [tool("a"), tool("b")];
    const { clock, requests, clients, catalogs } = start([a], [b]);
    const both = await Promise.all([catalogs.get(caller, clients), catalogs.get(caller, clients)]);
    expect(both[0]).toBe(both[1]);
    expect(both[0].tools).toEqual([a, b]);
    expect([both[0].find("b"), both[0].find("c")]).toEqual([b, undefined]);
    expect(requests).toEqual([
      { pageSize: 1000, pageToken: "" },
      { pageSize: 1000, pageToken: "1" },
    ]);
    clock.now = 1000;
    expect(catalogs.get(caller, clients)).toBe(both[0]);
    clock.now = 1001;
    expect(await catalogs.get(caller, clients)).toBe(both[0]);
    expect(requests).toHaveLength(4);
    await catalogs.get({ ...caller }, clients);
    expect(requests).toHaveLength(6);
  });

  test("changes if a tool is added, removed or registered again", async () => {
    const [a, b] = [tool("a"), tool("b")];
    const { clients, catalogs, list } = start([a]);
    const seen = new Set([await catalogs.refresh(caller, clients)]);
    for (const tools of [[a], [a, b], [a, tool("b")], [a]]) {
      list(tools);
      seen.add(await catalogs.refresh(caller, clients));
    }
    expect(seen.size).toBe(4);
  });

  test("is listed again after an earlier listing, and after a failed one", async () => {
    const { clients, catalogs, list, requests } = start([tool("a")]);
    const earlier = catalogs.get(caller, clients);
    const later = catalogs.refresh(caller, clients);
    list([tool("b")]);
    await earlier;
    expect((await later).find("b")).toBeDefined();
    expect(requests).toHaveLength(2);
    const broken = { executor: { listTools: async () => Promise.reject(new Error("away")) } } as never;
    await expect(catalogs.refresh(caller, broken)).rejects.toThrow("away");
    expect((await catalogs.refresh(caller, clients)).find("b")).toBeDefined();
  });

  test("is listed without using up the caller's rate", async () => {
    const { clients, catalogs, requests } = start([tool("a")]);
    const metered = { executor: { listTools: async () => Promise.reject(new Error("too many")) }, unmetered: clients };
    await catalogs.get(caller, metered as never);
    expect(requests).toHaveLength(1);
  });
});
