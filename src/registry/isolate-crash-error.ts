/** Thrown if the thread or process of an isolated tool ended during a call: its effects so far are unknown. */
export class IsolateCrashError extends Error {
  override readonly name: string = "IsolateCrashError";
}
