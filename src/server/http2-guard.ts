import { constants } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { LinkedList } from "../linked-list.ts";

/** Maximum number of control frames that a peer may send per second between two requests. */
const controlFrames = 50;

/**
 * Ends sessions that send floods of PING or SETTINGS frames, or whose streams are aborted faster than
 * `abortsPerSecond`. Each request resets the count of control frames, because clients measure their bandwidth with
 * PING.
 *
 * nghttp2 limits aborted streams itself, but continues to create streams until it has sent its GOAWAY, after the whole
 * chunk that was read: 550 streams and 10 ms. A session that is destroyed here ignores the rest of the chunk.
 */
export function guardSession(session: ServerHttp2Session, abortsPerSecond: number): void {
  const controls = createCount(controlFrames);
  const aborts = createCount(abortsPerSecond);
  const end = (): void => {
    if (session.destroyed) return;
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
  const onControl = (): void => {
    if (controls.isExceeded()) end();
  };
  const onAborted = (): void => {
    if (aborts.isExceeded()) end();
  };
  session.on("ping", onControl);
  session.on("remoteSettings", onControl);
  session.on("stream", (stream) => {
    controls.reset();
    stream.once("aborted", onAborted);
  });
}

/** Counts up to a limit per second. */
function createCount(limit: number): { isExceeded(): boolean; reset(): void } {
  let since = 0;
  let count = 0;
  return {
    isExceeded() {
      const now = performance.now();
      if (now - since > 1000) {
        since = now;
        count = 0;
      }
      count += 1;
      return count > limit;
    },
    reset() {
      count = 0;
    },
  };
}

/**
 * Counts the RST_STREAM frames in the first bytes of a connection, preface included. Node passes bytes that were read
 * before the session existed to nghttp2 in one chunk, and emits their streams only afterwards, too late for
 * `guardSession`.
 */
export function resetsIn(head: Buffer): number {
  let count = 0;
  for (let at = prefaceLength; at + frameHeader <= head.length; at += frameHeader + head.readUIntBE(at, 3)) {
    if (head[at + 3] === rstStream) count += 1;
  }
  return count;
}

const prefaceLength = 24;
const frameHeader = 9;
/** Type of RST_STREAM frames (RFC 9113, 6.4). */
const rstStream = 3;

interface StreamProgress {
  readonly stream: ServerHttp2Stream;
  readonly bodyUntil: number;
  buffered: number;
  stalledSince: number;
}

/** Detects streams whose body does not arrive or whose answer is not read. */
export interface StreamWatch {
  add(stream: ServerHttp2Stream): void;
  /** Ends streams whose time has expired. */
  sweep(now: number): void;
}

/** Creates the watch. Times are in milliseconds. */
export function createStreamWatch(bodyMs: number, stallMs: number): StreamWatch {
  const open = new LinkedList<StreamProgress>();
  return {
    add(stream) {
      const item = open.add({ stream, bodyUntil: performance.now() + bodyMs, buffered: 0, stalledSince: 0 });
      stream.once("close", () => open.remove(item));
      // A client may reset its stream. Without a listener, that error would end the process.
      stream.on("error", ignore);
    },
    sweep(now) {
      for (const { value: watched } of open.items()) {
        const { stream } = watched;
        if (now >= watched.bodyUntil && !stream.endAfterHeaders && !stream.readableEnded) refuse(stream);
        else if (isStalled(watched, now, stallMs)) stream.close(constants.NGHTTP2_CANCEL);
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

/** Reports whether no pending byte has been sent for `stallMs`. */
function isStalled(watched: StreamProgress, now: number, stallMs: number): boolean {
  const buffered = watched.stream.writableLength;
  if (buffered === 0 || buffered !== watched.buffered) {
    watched.buffered = buffered;
    watched.stalledSince = now;
    return false;
  }
  return now - watched.stalledSince >= stallMs;
}

function ignore(): void {}
