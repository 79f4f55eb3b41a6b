import { validateHeaderName, validateHeaderValue } from "node:http";
import type { HttpTarget } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { AddressGuard } from "../outbound/address-guard.ts";
import { checkUrl } from "../outbound/sender.ts";
import type { ExecutionContext } from "../plugin/tool.ts";
import type { Target } from "./target.ts";
import { TargetError } from "./target.ts";

/** Headers reserved for the connection or the contract. */
const ours: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "idempotency-key",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "accept-encoding",
]);

/** Headers whose values are not secret and may appear in the tool's answers. */
const plain: ReadonlySet<string> = new Set(["accept", "accept-language", "user-agent", "cache-control"]);

/** Creates a target for an HTTP endpoint. Throws a TargetError for an unusable URL or header. */
export function createHttpTarget({ url: text, headers }: HttpTarget, guard: AddressGuard): Target {
  const url = URL.parse(text);
  if (url === null) throw new TargetError("target.http.url is not an absolute URL");
  try {
    checkUrl(url);
    guard.check(url);
  } catch (cause) {
    throw new TargetError(`target.http.url cannot be used: ${(cause as Error).message}`, { cause });
  }
  checkHeaders(headers);
  const secrets = Object.entries(headers).flatMap(([name, value]) =>
    // Also without the scheme, because an answer may quote the token alone.
    plain.has(name.toLowerCase()) ? [] : [value, value.replace(/^\w+\s+/, "")],
  );
  return {
    // Without the query, which may contain a key.
    label: url.origin + url.pathname,
    secrets: [...new Set(secrets)],
    async run(args: unknown, context: ExecutionContext) {
      const { idempotencyKey } = context;
      const answer = await context.http(url, { method: "POST", json: args, headers: { ...headers }, idempotencyKey });
      return answer.json();
    },
    describe: async () => undefined,
    release: () => {},
  };
}

/** Limits that prevent a registration from filling memory, store and log filter. */
const maxHeaders = 32;
const maxHeaderBytes = 8192;

function checkHeaders(headers: Readonly<Record<string, string>>): void {
  const entries = Object.entries(headers);
  if (entries.length > maxHeaders)
    throw new TargetError(`target.http.headers may contain at most ${maxHeaders} headers`);
  const bytes = entries.reduce((sum, pair) => sum + Buffer.byteLength(pair.join("")), 0);
  if (bytes > maxHeaderBytes)
    throw new TargetError(`target.http.headers may contain at most ${maxHeaderBytes} bytes, names and values together`);
  for (const [name, value] of entries) checkHeader(name, value);
}

function checkHeader(name: string, value: string): void {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    // DANGER: the platform's message quotes the value.
    throw new TargetError(`target.http.headers: ${JSON.stringify(name)} is not a header that can be sent`);
  }
  if (ours.has(name.toLowerCase())) throw new TargetError(`target.http.headers: ${name} is set by Jackfield itself`);
}
