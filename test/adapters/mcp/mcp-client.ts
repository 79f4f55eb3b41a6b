/** A JSON-RPC answer. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly id?: unknown;
    readonly result?: Record<string, never> & { readonly _meta?: Record<string, unknown> };
    readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
  };
}

/** Options of a request. */
export interface SendOptions {
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly meta?: Readonly<Record<string, unknown>>;
  /** The client supports tasks. */
  readonly tasks?: boolean;
  readonly signal?: AbortSignal;
}

const prefix = "io.modelcontextprotocol/";
let lastId = 0;

/** Sends any body to the endpoint. */
export async function post(url: string, body: unknown, { key, headers, signal }: SendOptions = {}): Promise<Response> {
  return await fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal !== undefined && { signal }),
  });
}

/** Sends a request like an older client. */
export async function older(url: string, method: string, params: object = {}, options: SendOptions = {}) {
  const message = { jsonrpc: "2.0", id: ++lastId, method, params: { ...params, _meta: options.meta } };
  return await answered(await post(url, message, options));
}

/** Sends a request like a client of 2026-07-28. */
export async function modern(url: string, method: string, params: object = {}, options: SendOptions = {}) {
  return await answered(
    await post(url, modernMessage(method, params, options), modernOptions(method, params, options)),
  );
}

/** Returns the message of a client of 2026-07-28. */
export function modernMessage(method: string, params: object = {}, { meta, tasks }: SendOptions = {}) {
  const extensions = tasks === true ? { [`${prefix}tasks`]: {} } : {};
  return {
    jsonrpc: "2.0",
    id: ++lastId,
    method,
    params: {
      ...params,
      _meta: {
        [`${prefix}protocolVersion`]: "2026-07-28",
        [`${prefix}clientCapabilities`]: { extensions },
        ...meta,
      },
    },
  };
}

/** Returns the headers of such a message. */
export function modernOptions(method: string, params: object, options: SendOptions): SendOptions {
  const { name, taskId } = params as { name?: string; taskId?: string };
  const subject = name ?? taskId;
  return {
    ...options,
    headers: {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(subject !== undefined && { "mcp-name": subject }),
      ...options.headers,
    },
  };
}

/** Reads an answer that is JSON, or the last event of a stream. */
export async function answered(response: Response): Promise<Answered> {
  const text = await response.text();
  const { status, headers } = response;
  if (headers.get("content-type")?.startsWith("text/event-stream") === true) {
    const last = messagesOf(text).at(-1);
    return { status, headers, body: last as Answered["body"] };
  }
  return { status, headers, body: (text === "" ? {} : JSON.parse(text)) as Answered["body"] };
}

/** Returns the messages in an event stream. */
export function messagesOf(text: string): object[] {
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? "null") as object);
}

/** Polls a task until it has ended. */
export async function endedTask(url: string, key: string, taskId: string): Promise<Record<string, unknown>> {
  for (;;) {
    const { body } = await modern(url, "tasks/get", { taskId }, { key, tasks: true });
    if (body.error !== undefined) throw new Error(body.error.message);
    const task = body.result as unknown as Record<string, unknown>;
    if (task["status"] !== "working") return task;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
