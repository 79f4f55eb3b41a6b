/** Posts JSON; a text is sent as it is. */
export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body),
  });
}

/** Resolves with the status and body of an answer. */
export async function readAnswer(
  answer: Response | Promise<Response>,
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await answer;
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** Calls an RPC over Connect in JSON. */
export async function rpc(
  url: string,
  method: string,
  message: unknown,
  key?: string,
): Promise<{ status: number; body: Record<string, never> }> {
  const response = await post(
    `${url}/jackfield.v1.${method}`,
    message,
    key === undefined ? {} : { authorization: `Bearer ${key}` },
  );
  return { status: response.status, body: (await response.json()) as Record<string, never> };
}

/** Waits until a condition holds, and returns its value. */
export async function until<Value>(
  condition: () => Promise<Value | undefined | false> | Value | undefined | false,
  withinMs = 5000,
): Promise<Value> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
