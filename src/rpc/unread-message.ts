import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorFromJsonBytes, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { rpcError } from "../errors.ts";
import type { Front } from "./front.ts";
import { kCall } from "./rpc-call.ts";
import { inputErrorFrom } from "./rpc-errors.ts";

/**
 * Ends calls whose message Connect's handlers could not read, which happens before the interceptors run. The caller
 * gets `invalid_argument` instead of Connect's `internal`. Only Connect's GET takes this path; all other unary calls
 * take the fast path.
 */
export function endUnreadCalls(router: ConnectRouter, front: Front): void {
  for (const [index, handler] of router.handlers.entries()) {
    if (handler.method.methodKind === "unary") router.handlers[index] = endingUnread(handler, front);
  }
}

function endingUnread(handler: UniversalHandler, front: Front): UniversalHandler {
  const serve: (...args: Parameters<UniversalHandler>) => ReturnType<UniversalHandler> = async (request) => {
    const response = await handler(request);
    const call = request.contextValues?.get(kCall);
    // The call was refused before it began, or the interceptor has ended it.
    if (call?.startedAt === undefined) return response;
    const reason = inputErrorFrom(await errorIn(response));
    // Connect has aborted the call's signal with its own error. The first reason counts.
    call.cancel(reason);
    const error = front.end(call, { reason }) ?? rpcError("internal");
    const header = new Headers(response.header);
    header.delete("content-encoding");
    const body = errorToJsonBytes(error, undefined);
    header.set("content-length", String(body.length));
    return { ...response, status: codeToHttpStatus(error.code), header, body: once(body) };
  };
  return Object.assign(serve, handler);
}

/** Returns the error in one of Connect's answers. */
async function errorIn({ header, body }: UniversalServerResponse): Promise<ConnectError> {
  const unread = new ConnectError("the message cannot be read", Code.InvalidArgument);
  if (body === undefined || header?.get("content-encoding") != null) return unread;
  try {
    return errorFromJsonBytes(Buffer.concat(await Array.fromAsync(body)), new Headers(), unread);
  } catch {
    return unread;
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> & AsyncGenerator<Uint8Array> {
  yield bytes;
}
