import { modelError } from "../errors.ts";
import { isHttpError } from "../plugin/http-error.ts";
import { isToolError } from "../plugin/tool-error.ts";
import type { CompiledTool } from "../registry/registry.ts";

/** What a log may show of something that a tool threw. */
export interface ThrownFields {
  readonly name: string;
  /** First line of the stack that names a place, without the error's message. */
  readonly at: string | undefined;
}

/**
 * What the model reads of something that a tool threw: a ToolError's own message, and nothing of anything else. DANGER:
 * whatever a tool throws may throw again when it is read.
 */
export function messageForModel(reason: unknown, tool: CompiledTool): string {
  const own = attempt(() => (isToolError(reason) ? String((reason as unknown as Error).message) : undefined));
  return tool.redact((own ?? tool.fallbackMessage ?? modelError("failed")).toWellFormed());
}

/** Name and place of something that a tool threw. Its message may repeat arguments or answers. */
export function thrownFields(reason: unknown): ThrownFields {
  return {
    name: attempt(() => (reason instanceof Error ? String(reason.name) : typeof reason)) ?? "unreadable",
    at: attempt(() => {
      const { stack } = reason as Error;
      return String(stack)
        .split("\n")
        .find((line) => line.startsWith("    at "))
        ?.trim();
    }),
  };
}

/** Message and stack of something that a tool threw, without the secrets of its configuration. */
export function thrownDetails(reason: unknown, tool: CompiledTool): { message: string; stack: string | undefined } {
  const message = attempt(() => String(reason instanceof Error ? reason.message : reason)) ?? "unreadable";
  const stack = attempt(() => (typeof (reason as Error).stack === "string" ? (reason as Error).stack : undefined));
  return { message: tool.redact(message), stack: stack && tool.redact(stack) };
}

/** A ToolError that the tool's author threw, or the refusal of a downstream that the author let through. */
export function isAuthorsOwn(reason: unknown): boolean {
  const known = attempt(() => {
    if (!isHttpError(reason)) return isToolError(reason);
    const { status = 0 } = reason;
    return status >= 400 && status <= 499;
  });
  return known === true;
}

/** What reading gives; undefined where it throws. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
