/**
 * Makes a listener that handles together what arrives together: everything that the sockets brought in one turn of the
 * event loop, in its order. Requests then pass each stage one after the other while its code and data are in the
 * processor's caches, so that the busier the service is, the less each of them costs. One that comes alone waits for
 * nothing but the end of its own turn. What is gone by then is left out.
 */
export function together<Args extends readonly unknown[]>(
  handle: (...args: Args) => void,
  isGone: (...args: Args) => boolean,
): (...args: Args) => void {
  let arrived: Args[] = [];
  const handleAll = (): void => {
    const turn = arrived;
    arrived = [];
    for (const args of turn) if (!isGone(...args)) handle(...args);
  };
  return (...args) => {
    if (arrived.push(args) === 1) setImmediate(handleAll);
  };
}
