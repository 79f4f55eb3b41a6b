import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { createFaults, type Fault } from "./faults.ts";

/** A request, as routes receive it. */
export interface SandboxRequest {
  /** Decoded values of the route's `:name` segments. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** The body as text. */
  readonly text: string;
  /** Parses the body. Throws a SandboxHttpError (400) if it is not JSON. */
  json(): unknown;
}

/** A route's answer, sent as JSON. */
export interface SandboxAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Routes by method and path: `"GET /orders/:order_id"`. */
export type Routes = Readonly<Record<string, (request: SandboxRequest) => SandboxAnswer>>;

/** A running sandbox part. */
export interface Part {
  /** Base URL on loopback, without a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** Thrown by a route to answer with a status other than 2xx. */
export class SandboxHttpError extends Error {
  override readonly name = "SandboxHttpError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const maxBodyBytes = 4 * 1024 * 1024;

/**
 * Serves routes on a free loopback port. Every part also has `POST`, `GET` and `DELETE /_faults`, and obeys the header
 * `Sandbox-Fault`. It accepts any credentials in `Authorization` and never stores them.
 */
export async function startPart(routes: Routes, now: () => number, log?: (line: string) => void): Promise<Part> {
  const faults = createFaults(now);
  const closing = new AbortController();
  const all: Routes = {
    ...routes,
    "GET /_faults": () => ({ body: { faults: faults.planned() } }),
    "POST /_faults": (request) => ({ status: 201, body: faults.plan(request.json()) }),
    "DELETE /_faults": () => {
      faults.clear();
      return { body: { faults: [] } };
    },
  };

  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const method = incoming.method ?? "GET";
    const [path = "/", search = ""] = (incoming.url ?? "/").split("?", 2);
    const text = await bodyOf(incoming);
    const header = incoming.headers["sandbox-fault"];
    const fault = path.startsWith("/_")
      ? undefined
      : faults.take({ method, path, header: Array.isArray(header) ? header.join(";") : header });
    if (fault !== undefined && fault.delayMs > 0) {
      await wait(fault.delayMs, undefined, { signal: closing.signal });
    }
    if (fault?.status !== undefined) {
      send(outgoing, { status: fault.status, body: { error: `Requested fault:  ${fault.status}` } }, fault);
      log?.(`${method} ${path} ${fault.status} (fault)`);
      return;
    }
    const found = findRoute(all, method, path);
    const reply = found.route({
      params: found.params,
      query: new URLSearchParams(search),
      headers: incoming.headers,
      text,
      json: () => jsonFrom(text),
    });
    send(outgoing, reply, fault);
    log?.(`${method} ${path} ${reply.status ?? 200}${fault?.cut === true ? " (cut)" : ""}`);
  };

  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch((reason: unknown) => {
      const status = reason instanceof SandboxHttpError ? reason.status : reason instanceof RangeError ? 400 : 500;
      const message = reason instanceof Error ? reason.message : String(reason);
      if (outgoing.headersSent || closing.signal.aborted) {
        outgoing.destroy();
      } else {
        send(outgoing, { status, body: { error: message } }, undefined);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function findRoute(
  routes: Routes,
  method: string,
  path: string,
): { route: Routes[string]; params: Record<string, string> } {
  const segments = path.split("/");
  const allowed: string[] = [];
  for (const [key, route] of Object.entries(routes)) {
    const [routeMethod = "", pattern = ""] = key.split(" ");
    const params = paramsFrom(pattern.split("/"), segments);
    if (params !== undefined && routeMethod === method) {
      return { route, params };
    }
    if (params !== undefined) {
      allowed.push(routeMethod);
    }
  }
  if (allowed.length > 0) {
    throw new SandboxHttpError(405, `Method not allowed; use ${allowed.join(", ")}`);
  }
  throw new SandboxHttpError(404, "Not found");
}

function paramsFrom(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) {
    return undefined;
  }
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (part.startsWith(":")) {
      params[part.slice(1)] = decoded(segment);
    } else if (part !== segment) {
      return undefined;
    }
  }
  return params;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new SandboxHttpError(400, "The path is not valid percent encoding");
  }
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new SandboxHttpError(400, "The body must be JSON");
  }
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) {
      throw new SandboxHttpError(413, `The body is longer than ${maxBodyBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(outgoing: ServerResponse, answer: SandboxAnswer, fault: Fault | undefined): void {
  const body = Buffer.from(JSON.stringify(answer.body));
  outgoing.writeHead(answer.status ?? 200, {
    "content-type": "application/json; charset=utf-8",
    "content-length": body.byteLength,
    ...answer.headers,
    ...(fault?.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter }),
  });
  if (fault?.cut === true) {
    outgoing.write(body.subarray(0, Math.floor(body.byteLength / 2)), () => outgoing.destroy());
    return;
  }
  outgoing.end(body);
}
