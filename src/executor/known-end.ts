import type { SentRequests } from "../outbound/sent-requests.ts";
import { isHttpError } from "../plugin/http-error.ts";
import { isToolError } from "../plugin/tool-error.ts";
import { PluginError } from "../registry/plugin-error.ts";
import { WorkerCrashError } from "../registry/worker-crash-error.ts";
import type { RunEnd } from "./execution.ts";
import { attempt } from "./thrown.ts";

/**
 * Whether it is known what became of a run of a `write`. It is where the function returned, where its author says so by a
 * ToolError, and where it failed while nothing that changes anything can have left: no request was sent, or only GET and
 * HEAD, or a downstream answered 4xx. A tool that has never used `http` may have acted in another way.
 */
export function isEndKnown(end: RunEnd, sent: SentRequests | undefined): boolean {
  if (end.kind === "returned") return true;
  // A function that has not ended can still act.
  if (end.kind !== "threw") return false;
  const isHarmless = sent?.used === true && !sent.mayHaveChanged;
  return isHarmless ? !isCrash(end.reason) : isAuthorsOwn(end.reason);
}

/** Whether a run ended before the tool's function was called: an isolated tool could not be started. */
export function isNotStarted(end: RunEnd): boolean {
  return end.kind === "threw" && attempt(() => end.reason instanceof PluginError) === true;
}

function isCrash(reason: unknown): boolean {
  return attempt(() => reason instanceof WorkerCrashError) === true;
}

/** A ToolError that the tool's author threw, or the refusal of a downstream that the author let through. */
export function isAuthorsOwn(reason: unknown): boolean {
  const known = attempt(() => {
    if (isHttpError(reason)) return reason.status !== undefined && reason.status >= 400 && reason.status <= 499;
    return isToolError(reason);
  });
  return known === true;
}
