import type { FastifyReply } from "fastify";
import type { Challenges } from "../../auth/challenge.ts";
import { sendReply } from "../replies.ts";
import type { RawExchange, RawRoute, Reply, RequestFailure } from "../route.ts";
import { type EventStream, openEventStream } from "../sse.ts";
import { isObject } from "../tool-call.ts";
import type { McpDoor } from "./door.ts";
import { createSharedTimer } from "./shared-timer.ts";
import type { EventSink, Peer } from "./peer.ts";
import { codes, errorText } from "./protocol.ts";

/** Settings of MCP over HTTP. Times are in milliseconds. */
export interface HttpRouteOptions {
  readonly door: McpDoor;
  readonly challenges: Challenges;
  /** Returns the reason to refuse the head of a request, if any. */
  refuse(headers: RawExchange["request"]["headers"]): string | undefined;
  /**
   * Wait after which a client that accepts events gets an event stream, because a proxy would close a silent
   * connection.
   */
  readonly streamAfterMs: number;
  /** Interval of comment lines in an idle stream. */
  readonly commentEveryMs: number;
}

/** Creates `POST /mcp`: one JSON-RPC message per request, answered as JSON or as an event stream. */
export function createHttpRoute({
  door,
  challenges,
  refuse,
  streamAfterMs,
  commentEveryMs,
}: HttpRouteOptions): RawRoute {
  const streamTimer = createSharedTimer(streamAfterMs);

  async function serve({ request, reply, caller, clients, trace, signal }: RawExchange): Promise<FastifyReply> {
    // All requests of this tick are read before the first one is executed (see server/port.ts).
    await Promise.resolve();
    const { headers, body } = request;
    const readsEvents = headers.accept?.includes("text/event-stream") === true;
    const events = readsEvents ? new ReplyEvents(reply, commentEveryMs) : undefined;
    const waiting = events && streamTimer.wait(events.open);
    const about: Peer["about"] = {};
    const answer = await door.handle(body, { caller, clients, headers, values: trace?.values, signal, about, events });
    if (waiting !== undefined) streamTimer.cancel(waiting);
    trace?.set({ "gen_ai.tool.call.id": about.call ?? "", "gen_ai.conversation.id": about.conversation ?? "" });
    if (events?.stream !== undefined) {
      if (answer !== undefined) events.send(answer.text);
      events.stream.end();
      return reply;
    }
    if (answer === undefined) return reply.code(202).send();
    return sendReply(reply, { status: answer.status, body: answer.text, headers: answer.headers });
  }

  function failure({ status, message, credentials }: RequestFailure): Reply {
    const body = errorText(undefined, codeOf(status, message), message || statusMessage(status));
    if (status !== 401) return { status, body };
    return {
      status,
      body,
      headers: { "www-authenticate": credentials === true ? challenges.invalid : challenges.missing },
    };
  }

  return {
    kind: "raw",
    method: "POST",
    path: "/mcp",
    admit(request) {
      const message = refuse(request.headers);
      return message === undefined ? undefined : { status: 403, message };
    },
    traceparent: traceparentOf,
    serve,
    failure,
  };
}

/** The events of one reply. The stream opens with the first of them. */
class ReplyEvents implements EventSink {
  stream: EventStream | undefined;
  readonly #reply: FastifyReply;
  readonly #commentEveryMs: number;

  constructor(reply: FastifyReply, commentEveryMs: number) {
    this.#reply = reply;
    this.#commentEveryMs = commentEveryMs;
  }

  readonly open = (): EventStream =>
    (this.stream ??= openEventStream(this.#reply, { commentEveryMs: this.#commentEveryMs }));

  send(data: string): void {
    this.open().send({ event: "message", data });
  }

  offer(data: string): boolean {
    return this.open().offer({ event: "message", data });
  }
}

/** Returns the trace context in a message whose request has no such header. */
function traceparentOf(body: unknown): string | undefined {
  if (!isObject(body) || !isObject(body["params"]) || !isObject(body["params"]["_meta"])) return undefined;
  const { traceparent } = body["params"]["_meta"];
  return typeof traceparent === "string" ? traceparent : undefined;
}

function codeOf(status: number, message: string): number {
  if (status === 400 && /not valid (?:JSON|UTF-8)|must not be empty/.test(message)) return codes.parseError;
  return status >= 500 ? codes.internal : codes.invalidRequest;
}

function statusMessage(status: number): string {
  return status === 401 ? "A valid key is needed: send Authorization: Bearer KEY" : "Internal error";
}
