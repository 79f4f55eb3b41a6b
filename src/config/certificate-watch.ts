import { statSync } from "node:fs";
import type { Logger } from "pino";

/** Options of the watch for changed certificate files. */
export interface WatchOptions {
  readonly log: Pick<Logger, "info" | "error">;
  /** Polling interval in milliseconds; 10,000 by default. */
  readonly reloadMs?: number | undefined;
}

/**
 * Calls `load` soon after one of the files has changed. An error from `load` is logged; `load` must then leave the
 * certificates in use unchanged. Returns a function that ends the watch.
 */
export function watchCertificates(
  files: readonly (string | undefined)[],
  load: () => void,
  { log, reloadMs = 10_000 }: WatchOptions,
): () => void {
  const named = files.filter((file) => file !== undefined);
  if (named.length === 0) return () => {};
  let version = versionOf(named);
  const timer = setInterval(() => {
    const current = versionOf(named);
    if (current === version) return;
    version = current;
    try {
      load();
      log.info({ files: named }, "certificates were reloaded");
    } catch (err) {
      log.error({ err, files: named }, "the new certificates cannot be used: the previous ones stay in use");
    }
  }, reloadMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Returns a text that changes with the files. A missing file has its own version. */
function versionOf(files: readonly string[]): string {
  return files
    .map((file) => {
      const stats = statSync(file, { throwIfNoEntry: false });
      return stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
    })
    .join(" ");
}
