import type { FastifyReply } from "fastify";

/** One server-sent event. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** How a stream of events behaves. Times in milliseconds. */
export interface EventStreamOptions {
  /** A comment line this often keeps proxies from closing an idle stream. */
  readonly commentEveryMs: number;
  /** The connection is cut after this time, whatever is still unread. Never where it is left out. */
  readonly closeAfterMs?: number;
}

/** A stream of events to one client. */
export interface EventStream {
  /** Writes an event. Only for as many as the request itself bounds: it is buffered while the client does not read. */
  send(event: StreamEvent): void;
  /** Writes an event unless the client is behind: then it is dropped. Tells whether it was written. */
  offer(event: StreamEvent): boolean;
  end(): void;
}

/** The text of an event. Throws where the name would break out of its line. Source: the HTML standard, section 9.2.5. */
export function eventText({ event, data }: StreamEvent): string {
  if (/[\r\n]/.test(event)) throw new TypeError("the name of an event must be one line");
  return `event: ${event}\ndata: ${data.replace(/\r\n|\r|\n/g, "\ndata: ")}\n\n`;
}

/** Takes the reply over and begins the stream; headers that are set already go along. */
export function openEventStream(reply: FastifyReply, options: EventStreamOptions): EventStream {
  reply.hijack();
  const raw = reply.raw;
  let behind = false;
  let ended = false;

  function write(text: string): void {
    if (ended || raw.destroyed) return;
    if (!raw.write(text)) behind = true;
  }

  const comments = setInterval(() => {
    if (!behind) write(":\n\n");
  }, options.commentEveryMs);
  const { closeAfterMs } = options;
  const deadline = closeAfterMs === undefined ? undefined : setTimeout(() => raw.destroy(), closeAfterMs);
  raw.on("drain", () => (behind = false));
  // A client that resets its connection is no fault of ours; `close` follows.
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
  // HTTP/2 knows no such header and refuses it. A client that asked for the end of its connection gets it.
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
      if (behind) return false;
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
