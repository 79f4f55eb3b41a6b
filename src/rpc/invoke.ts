import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { ServedCall } from "./served-call.ts";

/** A unary method with its implementation. */
export type UnaryMethod = Extract<MethodImplSpec, { kind: "unary" }>;

/**
 * Runs the implementation of a unary method, and answers synchronously where it does. Rejects at once when the call ends
 * early, whether or not the implementation listens; what it answers later is dropped.
 */
export function invokeUnary(
  { method, impl }: UnaryMethod,
  input: MessageShape<DescMessage>,
  call: ServedCall,
): MessageShape<DescMessage> | Promise<MessageShape<DescMessage>> {
  if (call.cancelled !== undefined) throw call.cancelled;
  const answer = impl(input, call);
  if (!(answer instanceof Promise)) return create(method.output, answer);
  const ended = call.canEndEarly ? orEnd(answer, call) : answer;
  return ended.then((output) => create(method.output, output));
}

/** What a promise settles with, unless the call ends early first: then it rejects with why. */
export function orEnd<T>(answer: Promise<T>, call: ServedCall): Promise<T> {
  return new Promise((resolve, reject) => {
    const unsubscribe = call.subscribe(reject);
    answer.then(resolve, reject).finally(unsubscribe);
  });
}

/** The items of an iterable until the call ends early: then it throws why, whether or not the source listens. */
export async function* untilEnded<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const ended = Promise.withResolvers<never>();
  // Nobody may be waiting for it when it rejects.
  ended.promise.catch(() => {});
  const onAbort = () => ended.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  let finished = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), ended.promise]);
      if (next.done === true) {
        finished = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not awaited: a source that ignores the signal would hold the end of the stream.
    if (!finished) iterator.return?.()?.catch(() => {});
  }
}
