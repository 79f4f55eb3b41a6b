import type { Socket } from "node:net";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A connection whose protocol is not known yet. */
export interface SniffState {
  /** Time at which the connection is closed, a `performance.now()` value. */
  until: number;
}

/**
 * Reads the first bytes of a connection, puts them back and reports whether they are the HTTP/2 preface. Calls `found`
 * once, with all bytes received so far, or never if the connection ends first. If the first bytes are ambiguous, the
 * rest must arrive within a second.
 */
export function sniff(
  socket: Socket,
  silentMs: number,
  found: (isHttp2: boolean, head: Buffer) => void,
  ended: () => void,
): SniffState {
  const state: SniffState = { until: performance.now() + silentMs };
  let head: Buffer | undefined;

  const stop = (): void => {
    socket.off("readable", onReadable);
    socket.off("error", onEnd);
    socket.off("close", onEnd);
    ended();
  };
  const onEnd = (): void => {
    stop();
    socket.destroy();
  };
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      if (socket.readableEnded) onEnd();
      return;
    }
    if (head === undefined) state.until = Math.min(state.until, performance.now() + 1000);
    head = head === undefined ? chunk : Buffer.concat([head, chunk]);
    const length = Math.min(head.length, preface.length);
    const same = head.compare(preface, 0, length, 0, length) === 0;
    if (same && length < preface.length) return;
    stop();
    socket.unshift(head);
    found(same, head);
  };
  socket.on("readable", onReadable);
  socket.on("error", onEnd);
  socket.on("close", onEnd);
  return state;
}
