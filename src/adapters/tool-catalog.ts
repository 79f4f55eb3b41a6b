import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { AdapterClients } from "./adapter.ts";

/** The tools that one caller sees, by name. */
export interface ToolCatalog {
  readonly tools: readonly Tool[];
  find(name: string): Tool | undefined;
}

/** Caches the catalogs of callers, so that a call need not list all tools. */
export interface ToolCatalogs {
  /** Returns the caller's catalog, at most `maxAgeMs` old. Returns synchronously if it is cached. */
  get(caller: Caller, clients: AdapterClients): ToolCatalog | Promise<ToolCatalog>;
  /** Lists the tools again. Returns the same object if nothing has changed. */
  refresh(caller: Caller, clients: AdapterClients): Promise<ToolCatalog>;
}

interface Entry {
  catalog: ToolCatalog | undefined;
  readAt: number;
  reading: Promise<ToolCatalog> | undefined;
}

const pageSize = 1000;

/** Creates a cache of catalogs, one per caller. `now` is a monotonic clock in milliseconds. */
export function createToolCatalogs({ maxAgeMs = 1000, now = () => performance.now() } = {}): ToolCatalogs {
  const entries = new WeakMap<Caller, Entry>();

  function entryOf(caller: Caller): Entry {
    let entry = entries.get(caller);
    if (entry === undefined) {
      entry = { catalog: undefined, readAt: 0, reading: undefined };
      entries.set(caller, entry);
    }
    return entry;
  }

  async function read(entry: Entry, clients: Pick<AdapterClients, "executor">): Promise<ToolCatalog> {
    const startedAt = now();
    try {
      const tools = await listTools(clients);
      if (entry.catalog === undefined || !sameTools(entry.catalog.tools, tools)) entry.catalog = catalogOf(tools);
      entry.readAt = startedAt;
      return entry.catalog;
    } finally {
      entry.reading = undefined;
    }
  }

  return {
    get(caller, clients) {
      const entry = entryOf(caller);
      if (entry.catalog !== undefined && now() - entry.readAt <= maxAgeMs) return entry.catalog;
      return (entry.reading ??= read(entry, clients.unmetered ?? clients));
    },
    async refresh(caller, clients) {
      const entry = entryOf(caller);
      // A listing that started earlier may lack tools that have just been registered.
      await entry.reading?.catch(() => undefined);
      return await (entry.reading ??= read(entry, clients));
    },
  };
}

async function listTools({ executor }: Pick<AdapterClients, "executor">): Promise<Tool[]> {
  const tools: Tool[] = [];
  for (let pageToken = ""; ;) {
    const page = await executor.listTools({ pageSize, pageToken });
    tools.push(...page.tools);
    if (page.nextPageToken === "") return tools;
    pageToken = page.nextPageToken;
  }
}

function catalogOf(tools: readonly Tool[]): ToolCatalog {
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  return { tools, find: (name) => byName.get(name) };
}

/** A tool that is registered again has a new message object. */
function sameTools(before: readonly Tool[], after: readonly Tool[]): boolean {
  return before.length === after.length && before.every((tool, index) => tool === after[index]);
}
