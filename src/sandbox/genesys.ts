import { SandboxHttpError, type Routes, type SandboxAnswer, type SandboxRequest } from "./part.ts";
import { hashOf } from "./random.ts";
import { type ModelRequest, modelTurn } from "./scripted-model.ts";

/** A batch of results delivered by Jackfield. */
interface Delivery {
  readonly run_id: string;
  readonly idempotency_key: string | null;
  readonly tool_calls: unknown;
  /** Number of deliveries with this key and body. */
  times: number;
}

const maxDeliveries = 10_000;

/**
 * Creates the routes of the Genesys platform: `POST /oauth/token` (any client id and secret, by Basic or in the form),
 * `POST /api/v2/ai/assistants/runs/:run_id/tool_calls`, the LLM gateway with a scripted model, and `GET` and `DELETE
 * /_deliveries`, which list and clear the deliveries. The API requires a bearer token and accepts any.
 */
export function createGenesysRoutes(now: () => number): Routes {
  const deliveries = new Map<string, Delivery>();
  let total = 0;
  let tokens = 0;

  return {
    "POST /oauth/token": (request) => {
      const form = new URLSearchParams(request.text);
      if (form.get("grant_type") !== "client_credentials") {
        return {
          status: 400,
          body: { error: "unsupported_grant_type", error_description: "grant_type must be client_credentials" },
        };
      }
      if (!hasClient(request, form)) {
        return { status: 401, body: { error: "invalid_client", error_description: "client id or secret is missing" } };
      }
      tokens += 1;
      const scope = form.get("scope");
      return {
        body: {
          access_token: `sandbox-token-${tokens}`,
          token_type: "bearer",
          expires_in: 86_400,
          ...(scope === null ? {} : { scope }),
        },
      };
    },
    "POST /api/v2/ai/assistants/runs/:run_id/tool_calls": (request) => {
      requireToken(request);
      const runId = request.params["run_id"] ?? "";
      const body = request.json();
      const calls = typeof body === "object" && body !== null && "tool_calls" in body ? body.tool_calls : undefined;
      if (!Array.isArray(calls) || calls.length === 0 || !calls.every(isToolOutput)) {
        throw new SandboxHttpError(400, "tool_calls must be a list of {tool_call_id, output}");
      }
      const key = request.headers["idempotency-key"];
      total += 1;
      record(deliveries, runId, typeof key === "string" ? key : null, calls);
      return { body: { run_id: runId, status: "accepted" } };
    },
    "GET /_deliveries": () => ({ body: { total, deliveries: [...deliveries.values()] } }),
    "DELETE /_deliveries": () => {
      deliveries.clear();
      total = 0;
      return { body: { total, deliveries: [] } };
    },
    "POST /api/v2/ai-builder/llm-gateway/conversations": (request) => {
      requireToken(request);
      return conversation(modelRequestFrom(request.json()), now);
    },
  };
}

function record(deliveries: Map<string, Delivery>, runId: string, key: string | null, calls: unknown[]): void {
  const id = JSON.stringify([runId, key, calls]);
  const before = deliveries.get(id);
  if (before !== undefined) {
    before.times += 1;
    return;
  }
  deliveries.set(id, { run_id: runId, idempotency_key: key, tool_calls: calls, times: 1 });
  const oldest = deliveries.keys().next().value;
  if (deliveries.size > maxDeliveries && oldest !== undefined) {
    deliveries.delete(oldest);
  }
}

function conversation(request: ModelRequest, now: () => number): SandboxAnswer {
  const message = modelTurn(request);
  return {
    body: {
      id: `chatcmpl-${hashOf(JSON.stringify(request.messages)).toString(16)}`,
      object: "chat.completion",
      created: Math.floor(now() / 1000),
      model: request.model,
      choices: [{ index: 0, message, finish_reason: message.tool_calls === undefined ? "stop" : "tool_calls" }],
    },
  };
}

function modelRequestFrom(body: unknown): ModelRequest {
  const request = body as Partial<ModelRequest> | null;
  if (typeof request !== "object" || request === null || !Array.isArray(request.messages)) {
    throw new SandboxHttpError(400, "messages must be a list");
  }
  if (request.tools !== undefined && !Array.isArray(request.tools)) {
    throw new SandboxHttpError(400, "tools must be a list");
  }
  return {
    model: typeof request.model === "string" ? request.model : "gpt-4o",
    messages: request.messages,
    tools: request.tools ?? [],
  };
}

function requireToken(request: SandboxRequest): void {
  if (!/^bearer \S/i.test(request.headers.authorization ?? "")) {
    throw new SandboxHttpError(401, "A bearer token is missing: get one from POST /oauth/token");
  }
}

function hasClient(request: SandboxRequest, form: URLSearchParams): boolean {
  const [scheme, credentials] = (request.headers.authorization ?? "").split(" ");
  if (scheme?.toLowerCase() === "basic") {
    return /^[^:]+:.+$/s.test(Buffer.from(credentials ?? "", "base64").toString("utf8"));
  }
  return (form.get("client_id") ?? "") !== "" && (form.get("client_secret") ?? "") !== "";
}

function isToolOutput(call: unknown): boolean {
  return (
    typeof call === "object" &&
    call !== null &&
    "tool_call_id" in call &&
    typeof call.tool_call_id === "string" &&
    "output" in call &&
    typeof call.output === "string"
  );
}
