/**
 * The requests that a run of a tool has sent. A request that may change something, so any except GET and HEAD, counts
 * from the moment before it is written: from then on the downstream may act on it.
 */
export class SentRequests {
  /** Whether the run has requested anything. */
  used = false;
  /** Number of requests that may have changed something: they were sent, and not answered with 4xx. */
  #changing = 0;
  /** Number of requests that may change something: they were sent, and no status has arrived. */
  #unanswered = 0;

  /** Whether a request of the run may have had an effect. */
  get mayHaveChanged(): boolean {
    return this.#changing > 0;
  }

  /** Whether a downstream may still be processing a request of the run, because no answer arrived. */
  get mayBeUnderWay(): boolean {
    return this.#unanswered > 0;
  }

  /** Records that a request that may change something is being sent. */
  leaves(): void {
    this.#changing++;
    this.#unanswered++;
  }

  /** Records the status of a sent request that may change something. */
  answered(status: number): void {
    this.#unanswered--;
    if (status >= 400 && status <= 499) this.#changing--;
  }
}
