import type { FastifyReply } from "fastify";

/** One server-sent event. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** Settings of an event stream. Times are in milliseconds. */
export interface EventStreamOptions {
  /** Interval of comment lines, which keep proxies from closing an idle stream. */
  readonly commentEveryMs: number;
  /** Time after which the connection is closed, even if data is unread. Undefined: never. */
  readonly closeAfterMs?: number;
}

/** An event stream to one client. */
export interface EventStream {
  /**
   * Writes an event. It is buffered while the client does not read, so use it only for a number of events that the
   * request bounds.
   */
  send(event: StreamEvent): void;
  /** Writes an event, or drops it if the client is slow. Returns whether it was written. */
  offer(event: StreamEvent): boolean;
  end(): void;
}

/** Returns the text of an event. Throws if the name contains a line break (HTML standard, section 9.2.5). */
export function eventText({ event, data }: StreamEvent): string {
  if (/[\r\n]/.test(event)) throw new TypeError("the name of an event must be one line");
  return `event: ${event}\ndata: ${data.replace(/\r\n|\r|\n/g, "\ndata: ")}\n\n`;
}

/** Takes over the reply and begins the stream. Headers that are already set are sent too. */
export function openEventStream(reply: FastifyReply, options: EventStreamOptions): EventStream {
  reply.hijack();
  const raw = reply.raw;
  let isBlocked = false;
  let ended = false;

  function write(text: string): void {
    if (ended || raw.destroyed) return;
    if (!raw.write(text)) isBlocked = true;
  }

  const comments = setInterval(() => {
    if (!isBlocked) write(":\n\n");
  }, options.commentEveryMs);
  const { closeAfterMs } = options;
  const deadline = closeAfterMs === undefined ? undefined : setTimeout(() => raw.destroy(), closeAfterMs);
  raw.on("drain", () => (isBlocked = false));
  // A client may reset its connection; `close` follows.
  raw.on("error", () => undefined);
  raw.once("close", () => {
    ended = true;
    clearInterval(comments);
    clearTimeout(deadline);
  });

  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) raw.setHeader(name, value);
  }
  raw.setHeader("content-type", "text/event-stream");
  raw.setHeader("cache-control", "no-cache");
  raw.setHeader("x-accel-buffering", "no");
  // HTTP/2 forbids this header. A connection that the client asked to close is closed.
  if (reply.request.raw.httpVersionMajor < 2 && raw.shouldKeepAlive && !raw.hasHeader("connection")) {
    raw.setHeader("connection", "keep-alive");
  }
  raw.writeHead(200);
  raw.flushHeaders();

  return {
    send(event) {
      write(eventText(event));
    },
    offer(event) {
      if (isBlocked) return false;
      write(eventText(event));
      return true;
    },
    end() {
      if (ended) return;
      ended = true;
      clearInterval(comments);
      raw.end();
    },
  };
}
