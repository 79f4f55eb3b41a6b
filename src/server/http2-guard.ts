import { constants } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/** Control frames that a peer may send per second between two requests. */
const controlFrames = 50;

/**
 * Ends sessions that send floods of PING or SETTINGS frames. Each request resets the count: clients measure their bandwidth
 * by PING.
 */
export function guardSession(session: ServerHttp2Session): void {
  let since = 0;
  let count = 0;
  const onControl = (): void => {
    const now = performance.now();
    if (now - since > 1000) {
      since = now;
      count = 0;
    }
    count += 1;
    if (count <= controlFrames || session.destroyed) return;
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
  session.on("ping", onControl);
  session.on("remoteSettings", onControl);
  session.on("stream", () => {
    count = 0;
  });
}

interface StreamProgress {
  readonly bodyUntil: number;
  buffered: number;
  stalledSince: number;
}

/** Detects streams whose body does not arrive or whose answer is not read. */
export interface StreamWatch {
  add(stream: ServerHttp2Stream): void;
  /** Ends the streams whose time has expired. */
  sweep(now: number): void;
}

/** Creates the watch. Times in milliseconds. */
export function createStreamWatch(bodyMs: number, stallMs: number): StreamWatch {
  const open = new Map<ServerHttp2Stream, StreamProgress>();
  const forget = function (this: ServerHttp2Stream): void {
    open.delete(this);
  };
  return {
    add(stream) {
      open.set(stream, { bodyUntil: performance.now() + bodyMs, buffered: 0, stalledSince: 0 });
      stream.once("close", forget);
      // A client may reset its stream: without a listener the error would end the process.
      stream.on("error", ignore);
    },
    sweep(now) {
      for (const [stream, watched] of open) {
        if (now >= watched.bodyUntil && !stream.endAfterHeaders && !stream.readableEnded) refuse(stream);
        else if (isStalled(stream, watched, now, stallMs)) stream.close(constants.NGHTTP2_CANCEL);
      }
    },
  };
}

function refuse(stream: ServerHttp2Stream): void {
  if (!stream.headersSent && !stream.destroyed) {
    stream.respond({ ":status": 408, "content-type": "application/json; charset=utf-8" });
    stream.end('{"error":"The request took too long to arrive"}');
  }
  stream.close(constants.NGHTTP2_CANCEL);
}

/** Tells whether no waiting byte has been sent for `stallMs`. */
function isStalled(stream: ServerHttp2Stream, watched: StreamProgress, now: number, stallMs: number): boolean {
  const buffered = stream.writableLength;
  if (buffered === 0 || buffered !== watched.buffered) {
    watched.buffered = buffered;
    watched.stalledSince = now;
    return false;
  }
  return now - watched.stalledSince >= stallMs;
}

function ignore(): void {}
