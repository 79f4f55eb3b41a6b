/**
 * Creates a listener that handles as one batch all requests that arrive in one tick of the event loop, in their order.
 * Requests then pass each stage one after the other while its code and data are in the processor's caches, so that the
 * busier the service is, the less each of them costs. A single request waits only for the end of its own tick. Requests
 * whose client has disconnected by then are skipped.
 */
export function batchPerTick<Args extends readonly unknown[]>(
  handle: (...args: Args) => void,
  isAborted: (...args: Args) => boolean,
): (...args: Args) => void {
  let arrived: Args[] = [];
  const handleBatch = (): void => {
    const batch = arrived;
    arrived = [];
    for (const args of batch) if (!isAborted(...args)) handle(...args);
  };
  return (...args) => {
    if (arrived.push(args) === 1) setImmediate(handleBatch);
  };
}
