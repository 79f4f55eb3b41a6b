import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { CancellationToken } from "../executor/cancellation.ts";
import type { RpcCall } from "./rpc-call.ts";

/** A unary method with its implementation. */
export type UnaryMethod = Extract<MethodImplSpec, { kind: "unary" }>;

/**
 * Runs the implementation of a unary method; returns the message at once where the implementation does. Rejects as soon as
 * the call is cancelled, whether or not the implementation listens; what it returns later is dropped.
 */
export function invokeUnary(
  { method, impl }: UnaryMethod,
  input: MessageShape<DescMessage>,
  call: RpcCall,
): MessageShape<DescMessage> | Promise<MessageShape<DescMessage>> {
  if (call.cancelled !== undefined) throw call.cancelled;
  const output = impl(input, call);
  if (!(output instanceof Promise)) return create(method.output, output);
  return (call.cancellable ? orCancelled(output, call) : output).then((message) => create(method.output, message));
}

/** What a promise settles with; rejects with the reason if the call is cancelled first. */
export function orCancelled<T>(promise: Promise<T>, token: CancellationToken): Promise<T> {
  return new Promise((resolve, reject) => {
    const unsubscribe = token.subscribe(reject);
    promise.then(resolve, reject).finally(unsubscribe);
  });
}

/**
 * The items of an iterable until the call is cancelled; then throws the reason, whether or not the source listens. One
 * subscription for the whole stream: racing each item against one promise would keep every item until the end.
 */
export async function* untilCancelled<T>(
  source: AsyncIterable<T>,
  token: CancellationToken,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let reject: ((reason: unknown) => void) | undefined;
  const unsubscribe = token.subscribe((reason) => reject?.(reason));
  let finished = false;
  try {
    for (;;) {
      if (token.cancelled !== undefined) throw token.cancelled;
      const next = await new Promise<IteratorResult<T>>((resolve, rejectNext) => {
        reject = rejectNext;
        iterator.next().then(resolve, rejectNext);
      });
      if (next.done === true) {
        finished = true;
        return;
      }
      yield next.value;
    }
  } finally {
    unsubscribe();
    // Not awaited: a source that ignores the cancellation would hold the end of the stream.
    if (!finished) iterator.return?.()?.catch(() => {});
  }
}
