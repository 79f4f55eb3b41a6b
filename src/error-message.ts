/** Returns the message of any thrown value. Never throws, even if the value's getters do. */
export function errorMessage(reason: unknown): string {
  try {
    return String(reason instanceof Error ? reason.message : reason);
  } catch {
    return "an error that cannot be read";
  }
}
