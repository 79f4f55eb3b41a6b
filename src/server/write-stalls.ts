import type { Socket } from "node:net";

/** Detects peers that do not read. */
export interface StallWatch {
  add(socket: Socket): void;
  /** Destroys sockets that have made no progress in sending their pending bytes for too long. */
  sweep(now: number): void;
}

/** Creates the watch. `stallMs` is the allowed time without progress, in milliseconds. */
export function createStallWatch(stallMs: number): StallWatch {
  const sockets = new Map<Socket, { sent: number; since: number }>();
  return {
    add(socket) {
      sockets.set(socket, { sent: 0, since: 0 });
      socket.once("close", () => sockets.delete(socket));
    },
    sweep(now) {
      for (const [socket, progress] of sockets) {
        const waiting = socket.writableLength;
        const sent = waiting === 0 ? 0 : socket.bytesWritten - waiting;
        if (waiting === 0 || sent !== progress.sent) {
          progress.sent = sent;
          progress.since = now;
        } else if (now - progress.since >= stallMs) {
          socket.destroy();
        }
      }
    },
  };
}
