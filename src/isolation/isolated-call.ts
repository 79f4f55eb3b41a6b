import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { parseJson } from "../json/exact-number.ts";
import type { ExecutionContext } from "../plugin/tool.ts";
import type { Ended, FromIsolated, ToIsolated } from "./isolation-protocol.ts";
import { errorFromThrown, thrownFrom } from "./isolation-protocol.ts";

/**
 * Gives a call that runs in another thread what its context offers: progress, log, and the process's own HTTP. Call what
 * it returns when the call has ended: its answer may have overtaken what it told before.
 */
export function serveIsolated(port: MessagePort, context: ExecutionContext): () => void {
  const tell = (message: ToIsolated): void => port.postMessage(message);
  const hear = (message: FromIsolated): void => {
    if (message.kind === "progress") return context.progress(message);
    if (message.kind === "log") return context.log[message.level](message.message, message.fields);
    const { id, url, request } = message;
    context.http(url, request).then(
      (answer) => tell({ kind: "answer", id, status: answer.status, headers: answer.headers, text: answer.text() }),
      (reason: unknown) => tell({ kind: "fault", id, thrown: thrownFrom(reason) }),
    );
  };
  port.on("message", hear);
  return () => {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      const message = next.message as FromIsolated;
      if (message.kind !== "http") hear(message);
    }
    port.close();
  };
}

/** What a call in another thread returned. Throws what it threw. */
export function valueOf(ended: Exclude<Ended, { kind: "unopened" }>): unknown {
  if (ended.kind === "returned") return parseJson(ended.json);
  // Whoever serialises it says that it cannot be.
  if (ended.kind === "unserializable") return unserializable();
  throw errorFromThrown(ended.thrown);
}

function unserializable(): unknown {
  const loop: { self?: unknown } = {};
  loop.self = loop;
  return loop;
}
