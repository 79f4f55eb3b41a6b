import { statSync } from "node:fs";
import type { Logger } from "pino";

/** How changes of certificate files are looked for. */
export interface WatchOptions {
  readonly log: Pick<Logger, "info" | "error">;
  /** How often the files are looked at, in milliseconds; 10,000 by default. */
  readonly reloadMs?: number | undefined;
}

/**
 * Calls `load` soon after one of the files has changed. Where it throws, that is logged: it must have left what was in use as
 * it was. Returns what ends the watch.
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
      log.error({ err, files: named }, "the new certificates cannot be used: those before stay");
    }
  }, reloadMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** A text that changes with the files. A file that is away for a moment has a version of its own. */
function versionOf(files: readonly string[]): string {
  return files
    .map((file) => {
      const stats = statSync(file, { throwIfNoEntry: false });
      return stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
    })
    .join(" ");
}
