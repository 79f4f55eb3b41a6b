import type { Caller } from "../../auth/caller.ts";
import type { AdapterHost } from "../adapter.ts";
import type { McpDoor } from "./door.ts";
import { readMessage } from "./message.ts";
import { codes, errorText, type RequestId } from "./protocol.ts";

/** MCP over lines, with one JSON message per line in both directions. */
export interface LineServer {
  /** Accepts a line. Its answer is written when it is ready, and does not delay further lines. */
  receive(line: string): void;
  /** Call it when the input has ended. Waits for running calls. */
  end(): Promise<void>;
}

/** Dependencies of the line server. */
export interface LineServerParts {
  readonly door: McpDoor;
  /** The caller of all lines. */
  readonly caller: Caller;
  readonly host: Pick<AdapterHost, "clientsFor">;
  /** Maximum length of a line in characters. */
  readonly maxLineLength: number;
  /** Writes a line. The text has no line break. */
  write(line: string): void;
}

/** Serves MCP over lines, as its stdio transport defines. */
export function createLineServer({ door, caller, host, maxLineLength, write }: LineServerParts): LineServer {
  const clients = host.clientsFor(caller);
  const running = new Map<RequestId, AbortController>();
  const answers = new Set<Promise<void>>();

  async function answer(body: unknown, id: RequestId): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const answered = await door.handle(body, {
        caller,
        clients,
        headers: undefined,
        values: undefined,
        signal: controller.signal,
        about: {},
        events: {
          send: write,
          offer(text) {
            write(text);
            return true;
          },
        },
      });
      // A client that has cancelled a request expects no answer to it.
      if (answered !== undefined && !controller.signal.aborted) write(answered.text);
    } finally {
      if (running.get(id) === controller) running.delete(id);
    }
  }

  function refuse(code: number, message: string): void {
    write(errorText(undefined, code, message));
  }

  return {
    receive(line) {
      if (line.trim() === "") return;
      if (line.length > maxLineLength) return refuse(codes.invalidRequest, "The message is too long");
      let body: unknown;
      try {
        body = JSON.parse(line) as unknown;
      } catch {
        return refuse(codes.parseError, "The message is not valid JSON");
      }
      const id = requestIdOf(body);
      const cancelled = cancelledRequestOf(body);
      if (cancelled !== undefined) running.get(cancelled)?.abort();
      const answering = answer(body, id ?? "").finally(() => answers.delete(answering));
      answers.add(answering);
    },
    async end() {
      // Notification streams are open-ended.
      door.close();
      while (answers.size > 0) await Promise.allSettled(answers);
    },
  };
}

function requestIdOf(body: unknown): RequestId | undefined {
  try {
    return readMessage(body)?.id;
  } catch {
    return undefined;
  }
}

function cancelledRequestOf(body: unknown): RequestId | undefined {
  try {
    const message = readMessage(body);
    if (message?.id !== undefined || message?.method !== "notifications/cancelled") return undefined;
    return message.params["requestId"] as RequestId | undefined;
  } catch {
    return undefined;
  }
}
