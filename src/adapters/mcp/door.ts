import { Code, ConnectError } from "@connectrpc/connect";
import type { Scope } from "../../auth/caller.ts";
import type { AdapterLog } from "../adapter.ts";
import { createToolCatalogs, type ToolCatalog } from "../tool-catalog.ts";
import { createCallTool } from "./call-tool.ts";
import { type Era, eraOf } from "./era.ts";
import { createListTools } from "./list-tools.ts";
import { idFromBody, readMessage, type RequestMessage } from "./message.ts";
import { checkMirroredHeaders, mirroredArguments } from "./mirrored-headers.ts";
import { capabilitiesOf, type ClientCapabilities, noCapabilities } from "./modern-request.ts";
import type { McpAnswer, Peer } from "./peer.ts";
import {
  codes,
  errorText,
  McpError,
  olderVersions,
  type RequestId,
  reserved,
  resultText,
  supportedVersions,
} from "./protocol.ts";
import { createRequestStates } from "./request-state.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { createTasks } from "./tasks.ts";

/** Settings and dependencies of the MCP server. */
export interface McpDoorOptions {
  readonly version: string;
  /** Instructions that clients give their models about the server. May be empty. */
  readonly instructions: string;
  readonly answerWithinMs: number;
  readonly taskAfterMs: number;
  readonly pageSize: number;
  readonly listTtlMs: number;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
  /** How long a task is kept, in milliseconds. */
  readonly taskTtlMs: number;
  /** Returns the secret that signs request states, the same on every replica. Rejects with a ConnectError. */
  stateSecret(): Promise<string>;
  readonly log: Pick<AdapterLog, "error">;
  /** Maximum number of open `subscriptions/listen` streams. */
  readonly maxListeners?: number;
  /** Interval at which watched lists and tasks are checked, in milliseconds. */
  readonly pollEveryMs?: number;
  /** Returns the error for a caller that lacks a scope. */
  missingScope(scope: Scope): McpError;
}

/** MCP without a transport: it answers messages. */
export interface McpDoor {
  /**
   * Answers a parsed message. Resolves with undefined for notifications and responses, which get no answer. Never
   * rejects.
   */
  handle(body: unknown, peer: Peer): Promise<McpAnswer | undefined>;
  /** Ends the streams of `subscriptions/listen`. */
  close(): void;
}

type Serve = (message: RequestMessage, capabilities: ClientCapabilities, peer: Peer) => string | Promise<string>;

interface Method {
  readonly scope?: Scope;
  /** Whether the client must have declared support for tasks. */
  readonly needsTasks?: boolean;
  readonly serve: Serve;
}

/** Creates the MCP server. */
export function createMcpDoor(options: McpDoorOptions): McpDoor {
  const { instructions, listTtlMs, log } = options;
  const serverInfo = { name: "jackfield", title: "Jackfield", version: options.version };
  const metaTail = `,${JSON.stringify({ [reserved.serverInfo]: serverInfo }).slice(1, -1)}`;
  const catalogs = createToolCatalogs();
  const states = createRequestStates(() => options.stateSecret());
  const tasks = createTasks({
    catalogs,
    ttlMs: options.taskTtlMs,
    maxOutput: options.maxOutput,
    pollIntervalMs: 1000,
    metaTail,
  });
  const subscriptions = createSubscriptions({
    catalogs,
    tasks,
    pollEveryMs: options.pollEveryMs ?? 1000,
    maxListeners: options.maxListeners ?? 5000,
    metaTail,
  });
  const callTool = createCallTool({ ...options, catalogs, states, tasks, metaTail });
  const listTools = createListTools({ ...options, catalogs, metaTail });
  const done = `{"resultType":"complete","_meta":{${metaTail.slice(1)}}}`;
  const discovery = JSON.stringify({
    supportedVersions,
    capabilities: { tools: { listChanged: true }, extensions: { [reserved.tasks]: {} } },
    ...(instructions !== "" && { instructions }),
    resultType: "complete",
    ttlMs: listTtlMs,
    cacheScope: "private",
    _meta: { [reserved.serverInfo]: serverInfo },
  });

  const methods: Record<Era, ReadonlyMap<string, Method>> = {
    modern: new Map<string, Method>([
      ["server/discover", { serve: () => discovery }],
      ["tools/list", { scope: "tools:read", serve: (message, _, peer) => listTools(message, "modern", peer) }],
      ["tools/call", { scope: "tools:execute", serve: (message, can, peer) => callTool(message, "modern", can, peer) }],
      [
        "subscriptions/listen",
        { scope: "tools:read", serve: (message, _, peer) => subscriptions.listen(message, peer) },
      ],
      [
        "tasks/get",
        { scope: "tools:execute", needsTasks: true, serve: ({ params }, _, peer) => tasks.get(params["taskId"], peer) },
      ],
      [
        "tasks/update",
        {
          scope: "tools:execute",
          needsTasks: true,
          serve: ({ params }, _, peer) => tasks.check(params["taskId"], peer).then(() => done),
        },
      ],
      [
        "tasks/cancel",
        {
          scope: "tools:execute",
          needsTasks: true,
          serve: ({ params }, _, peer) => tasks.cancel(params["taskId"], peer).then(() => done),
        },
      ],
    ]),
    older: new Map<string, Method>([
      ["initialize", { serve: initialize }],
      ["ping", { serve: () => "{}" }],
      ["tools/list", { scope: "tools:read", serve: (message, _, peer) => listTools(message, "older", peer) }],
      ["tools/call", { scope: "tools:execute", serve: (message, can, peer) => callTool(message, "older", can, peer) }],
    ]),
  };

  function initialize({ params }: RequestMessage): string {
    const requested = params["protocolVersion"];
    return JSON.stringify({
      protocolVersion:
        typeof requested === "string" && olderVersions.includes(requested) ? requested : olderVersions[0],
      capabilities: { tools: {} },
      serverInfo,
      ...(instructions !== "" && { instructions }),
    });
  }

  /** Serves a request. Returns or throws synchronously if it need not wait. */
  function serve(message: RequestMessage, peer: Peer): string | Promise<string> {
    const era = eraOf(message, peer.headers);
    if (era === "older") return dispatch(message, era, noCapabilities, peer);
    const capabilities = capabilitiesOf(message);
    const { headers } = peer;
    if (headers === undefined) return dispatch(message, era, capabilities, peer);
    const checked = (catalog: ToolCatalog | undefined): string | Promise<string> => {
      const schema = catalog?.find(String(message.params["name"]))?.inputSchema;
      checkMirroredHeaders(message, headers, schema === undefined ? [] : mirroredArguments(schema));
      return dispatch(message, era, capabilities, peer);
    };
    const catalog = message.method === "tools/call" ? catalogs.get(peer.caller, peer.clients) : undefined;
    return catalog instanceof Promise ? catalog.then(checked) : checked(catalog);
  }

  function dispatch(
    message: RequestMessage,
    era: Era,
    capabilities: ClientCapabilities,
    peer: Peer,
  ): string | Promise<string> {
    const method = methods[era].get(message.method);
    if (method === undefined) {
      const status = era === "modern" ? 404 : 200;
      throw new McpError(codes.methodNotFound, `Method not found: ${message.method}`, { status });
    }
    if (method.scope !== undefined && !peer.caller.scopes.has(method.scope)) throw options.missingScope(method.scope);
    if (method.needsTasks === true && !capabilities.tasks) {
      throw new McpError(codes.missingCapability, `${message.method} needs the extension ${reserved.tasks}`, {
        status: 400,
        data: { requiredCapabilities: { extensions: { [reserved.tasks]: {} } } },
      });
    }
    return method.serve(message, capabilities, peer);
  }

  function failed(error: unknown, id: RequestId | undefined, peer: Peer): McpAnswer {
    const { status, code, message, data, headers } = error instanceof McpError ? error : errorFrom(error, peer);
    return { status, text: errorText(id, code, message, data), headers };
  }

  function errorFrom(error: unknown, peer: Peer): McpError {
    if (peer.signal.aborted) return new McpError(codes.internal, "The request was cancelled");
    if (error instanceof ConnectError) {
      const known = errorFromConnect(error);
      if (known !== undefined) return known;
    }
    log.error({ err: error, ...peer.about }, "an MCP request failed");
    return new McpError(codes.internal, "Internal error", { status: 500 });
  }

  return {
    async handle(body, peer) {
      let message;
      try {
        message = readMessage(body);
      } catch (error) {
        return failed(error, idFromBody(body), peer);
      }
      if (message === undefined || message.id === undefined) return undefined;
      const { id } = message;
      try {
        return { status: 200, text: resultText(id, await serve(message, peer)) };
      } catch (error) {
        return failed(error, id, peer);
      }
    },
    close: () => subscriptions.close(),
  };
}

/** Returns the McpError for an error of the services that the client can act on. */
function errorFromConnect({ code, rawMessage, metadata }: ConnectError): McpError | undefined {
  const retryAfter = metadata.get("retry-after");
  if (code === Code.ResourceExhausted && retryAfter !== null) {
    return new McpError(codes.internal, rawMessage, { status: 429, headers: { "retry-after": retryAfter } });
  }
  switch (code) {
    case Code.InvalidArgument:
      return new McpError(codes.invalidParams, rawMessage);
    case Code.Unavailable:
    case Code.ResourceExhausted:
    case Code.DeadlineExceeded:
      return new McpError(codes.internal, rawMessage, { status: 503, headers: { "retry-after": "1" } });
    default:
      return undefined;
  }
}
