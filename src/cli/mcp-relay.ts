/** Relays newline-delimited messages of an MCP host to a service over HTTP. */
export interface McpRelay {
  receive(line: string): void;
  /** Handles the end of the input: waits for running calls. */
  end(): Promise<void>;
}

/** The relay's target and output. */
export interface McpRelayParts {
  /** Base URL of the service. */
  readonly url: string;
  readonly key: string | undefined;
  /** Writes a line, without its line break. */
  write(line: string): void;
}

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: {
    readonly name?: unknown;
    readonly taskId?: unknown;
    readonly requestId?: unknown;
    readonly arguments?: Record<string, unknown>;
    readonly _meta?: Record<string, unknown>;
  };
}

const versionKey = "io.modelcontextprotocol/protocolVersion";
const headerMismatch = -32020;

/** Relays lines to `POST /mcp` of a running service, and writes its answers unchanged. */
export function createMcpRelay({ url, key, write }: McpRelayParts): McpRelay {
  const endpoint = `${url.replace(/\/+$/, "")}/mcp`;
  const running = new Map<string | number, AbortController>();
  const listening = new Set<AbortController>();
  const answers = new Set<Promise<void>>();
  /** The protocol version negotiated by an older client and the service. */
  let agreed: string | undefined;

  function headersFor(message: Message): Record<string, string> {
    // The service refuses what is not as it should be.
    const method = typeof message.method === "string" ? message.method : "";
    const params = message.params ?? {};
    const version = params._meta?.[versionKey] ?? agreed;
    const subject = method === "tools/call" ? params.name : method.startsWith("tasks/") ? params.taskId : undefined;
    return {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(typeof version === "string" && { "mcp-protocol-version": version }),
      ...(method !== "" && { "mcp-method": method }),
      ...(typeof subject === "string" && { "mcp-name": headerText(subject) }),
    };
  }

  /** Sends a message and writes its answer. `extra` are headers that repeat arguments, once they are known. */
  async function send(message: Message, signal: AbortSignal, extra?: Record<string, string>): Promise<void> {
    const headers = { ...headersFor(message), ...extra };
    const response = await fetch(endpoint, { method: "POST", headers, body: JSON.stringify(message), signal });
    if (response.headers.get("content-type")?.startsWith("text/event-stream") === true && response.body !== null) {
      for await (const text of dataOf(response.body)) write(text);
      return;
    }
    const text = await response.text();
    if (message.id === undefined || text === "") return;
    const answer = JSON.parse(text) as {
      id?: unknown;
      error?: { code?: number };
      result?: { protocolVersion?: string };
    };
    if (answer.error?.code === headerMismatch && message.method === "tools/call" && extra === undefined) {
      return send(message, signal, await argumentHeaders(message, signal));
    }
    if (message.method === "initialize") agreed = answer.result?.protocolVersion ?? agreed;
    // A request rejected before its message was read has an answer without an id.
    write(answer.id === undefined ? JSON.stringify({ ...answer, id: message.id }) : text);
  }

  /**
   * Returns the headers that repeat a tool's marked arguments. The host does not send them, because lines have no
   * headers.
   */
  async function argumentHeaders({ params = {} }: Message, signal: AbortSignal): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (let cursor: string | undefined; ;) {
      const list: Message = {
        id: "relay",
        method: "tools/list",
        params: { ...(cursor !== undefined && { cursor }), _meta: params._meta ?? {} },
      };
      const body = JSON.stringify({ jsonrpc: "2.0", ...list });
      const response = await fetch(endpoint, { method: "POST", headers: headersFor(list), body, signal });
      const { result } = (await response.json()) as {
        result?: {
          tools?: { name: string; inputSchema: { properties?: Record<string, unknown> } }[];
          nextCursor?: string;
        };
      };
      const tool = result?.tools?.find(({ name }) => name === params.name);
      for (const [name, property] of Object.entries(tool?.inputSchema.properties ?? {})) {
        const suffix = (property as { "x-mcp-header"?: unknown })["x-mcp-header"];
        const value = params.arguments?.[name];
        if (typeof suffix === "string" && value !== undefined && value !== null)
          found[`mcp-param-${suffix}`] = headerText(typeof value === "string" ? value : JSON.stringify(value));
      }
      cursor = result?.nextCursor;
      if (tool !== undefined || cursor === undefined) return found;
    }
  }

  async function relay(message: Message): Promise<void> {
    const controller = new AbortController();
    if (message.id !== undefined) running.set(message.id, controller);
    if (message.method === "subscriptions/listen") listening.add(controller);
    try {
      await send(message, controller.signal);
    } catch (error) {
      if (message.id === undefined || controller.signal.aborted) return;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
      fail(message.id, -32603, `Jackfield cannot be reached at ${url}${code}`);
    } finally {
      listening.delete(controller);
      if (message.id !== undefined && running.get(message.id) === controller) running.delete(message.id);
    }
  }

  function fail(id: string | number | undefined, code: number, text: string): void {
    write(JSON.stringify({ jsonrpc: "2.0", ...(id !== undefined && { id }), error: { code, message: text } }));
  }

  return {
    receive(line) {
      if (line.trim() === "") return;
      let message: Message;
      try {
        message = JSON.parse(line) as Message;
      } catch {
        return fail(undefined, -32700, "The message is not valid JSON");
      }
      if (typeof message !== "object" || message === null || Array.isArray(message))
        return fail(undefined, -32600, "Expected a JSON-RPC 2.0 message");
      if (message.method === "notifications/cancelled") {
        running.get(message.params?.requestId as string | number)?.abort();
        return;
      }
      const answering = relay(message).finally(() => answers.delete(answering));
      answers.add(answering);
    },
    async end() {
      // Notification streams continue until they are aborted.
      for (const controller of listening) controller.abort();
      while (answers.size > 0) await Promise.allSettled(answers);
    },
  };
}

/** Encodes a header's value: verbatim if a header may contain it, otherwise in base64. */
function headerText(text: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text);
  return plain ? text : `=?base64?${Buffer.from(text).toString("base64")}?=`;
}

/** Yields the data of the events in a stream, one line each. */
async function* dataOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
  }
}
