/**
 * What a run of a tool has sent. A request counts from the moment in which it is about to be written: from then on the
 * downstream may act on it.
 */
export class SentRequests {
  /** Whether the run has asked for any request. */
  used = false;
  /** Requests that may have changed something: sent by a method other than GET and HEAD, and not answered with 4xx. */
  #changing = 0;

  /** Whether something that the run has sent may have had an effect. */
  get mayHaveChanged(): boolean {
    return this.#changing > 0;
  }

  leaves(method: string): void {
    if (isChanging(method)) this.#changing++;
  }

  /** A request that had left was answered with this status. */
  answered(method: string, status: number): void {
    if (isChanging(method) && status >= 400 && status <= 499) this.#changing--;
  }
}

/** Whether requests of this method may change something. */
export function isChanging(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}
