/** A complete answer. */
export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** Duration in milliseconds. */
  readonly ms: number;
}

/** Posts JSON and reads the answer. */
export async function post(url: string, body: unknown): Promise<Reply> {
  const startedAt = performance.now();
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  return {
    status: response.status,
    text: await response.text(),
    headers: response.headers,
    ms: performance.now() - startedAt,
  };
}

/** Sends a GET request and reads the answer. */
export async function get(url: string): Promise<Reply> {
  const startedAt = performance.now();
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  return {
    status: response.status,
    text: await response.text(),
    headers: response.headers,
    ms: performance.now() - startedAt,
  };
}

/** One call as Genesys sends it. */
export function genesysCall(id: string, name: string, args: Record<string, unknown> = { id }): object {
  return { id, type: "function", function: { name, arguments: JSON.stringify(args) } };
}

/** Sends a batch to the AI Gateway's webhook. */
export function sendRun(url: string, runId: string, ...calls: readonly object[]): Promise<Reply> {
  return post(`${url}/webhook/tool-calls`, { run_id: runId, tool_calls: calls });
}

/** Sends a call to Cognigy's callback. */
export function sendCallback(
  url: string,
  id: string,
  name: string,
  args: Record<string, unknown> = { id },
): Promise<Reply> {
  return post(`${url}/api/v1/llm/tool-callback`, { tool_call_id: id, name, arguments: args });
}

/** Polls a call as Cognigy does. */
export function pollCallback(url: string, id: string): Promise<Reply> {
  return get(`${url}/api/v1/llm/tool-callback/${id}`);
}

/** Returns the results in a stream of the LLM Gateway. */
export function streamResults(stream: string): { readonly id: string; readonly output: string }[] {
  const data = /^event: ?tool_result\r?\ndata: ?(.*)$/m.exec(stream)?.[1];
  if (data === undefined) throw new Error(`the stream has no result: ${stream}`);
  const { tool_results: results } = JSON.parse(data) as {
    tool_results: { id: string; function: { output: string } }[];
  };
  return results.map((result) => ({ id: result.id, output: result.function.output }));
}
