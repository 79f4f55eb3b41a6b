/** The thread or process of an isolated tool ended during a call: what the call had done by then is not known. */
export class IsolateCrashError extends Error {
  override readonly name: string = "IsolateCrashError";
}
