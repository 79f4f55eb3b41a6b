/**
 * What a run of a tool has sent. A request that may change something, so none of GET and HEAD, counts from the moment in which
 * it is about to be written: from then on the downstream may act on it.
 */
export class SentRequests {
  /** Whether the run has asked for any request. */
  used = false;
  /** Requests that may have changed something: they have left, and were not answered with 4xx. */
  #changing = 0;
  /** Requests that may change something: they have left, and no status has come back. */
  #unanswered = 0;

  /** Whether something that the run has sent may have had an effect. */
  get mayHaveChanged(): boolean {
    return this.#changing > 0;
  }

  /** Whether a downstream may still be working on something that the run has sent: the answer never came. */
  get mayBeUnderWay(): boolean {
    return this.#unanswered > 0;
  }

  /** A request that may change something leaves. */
  leaves(): void {
    this.#changing++;
    this.#unanswered++;
  }

  /** A request that may change something, and that had left, was answered with this status. */
  answered(status: number): void {
    this.#unanswered--;
    if (status >= 400 && status <= 499) this.#changing--;
  }
}
