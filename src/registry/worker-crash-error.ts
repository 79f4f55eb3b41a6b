/** The worker of an isolated tool died during a call: what the call had done by then is not known. */
export class WorkerCrashError extends Error {
  override readonly name: string = "WorkerCrashError";
}
