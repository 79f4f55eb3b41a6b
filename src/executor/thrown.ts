import { modelError } from "../errors.ts";
import { isHttpError } from "../plugin/http-error.ts";
import { isToolError } from "../plugin/tool-error.ts";
import type { CompiledTool } from "../registry/registry.ts";

/** Fields of a thrown value that may be logged. */
export interface ThrownFields {
  readonly name: string;
  /** First line of the stack that names a location, without the error's message. */
  readonly at: string | undefined;
}

/**
 * Returns the text that the model reads about a value that a tool threw: the message of a ToolError, and nothing of any
 * other value. DANGER: reading what a tool throws may throw again.
 */
export function messageForModel(reason: unknown, tool: CompiledTool): string {
  const own = attempt(() => (isToolError(reason) ? String((reason as unknown as Error).message) : undefined));
  return tool.redact((own ?? tool.fallbackMessage ?? modelError("failed")).toWellFormed());
}

/**
 * Returns the name and location of a value that a tool threw. Its message is left out, because it may repeat arguments
 * or answers.
 */
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

/** Returns the message and stack of a value that a tool threw, without the secrets of the tool's configuration. */
export function thrownDetails(reason: unknown, tool: CompiledTool): { message: string; stack: string | undefined } {
  const message = attempt(() => String(reason instanceof Error ? reason.message : reason)) ?? "unreadable";
  const stack = attempt(() => (typeof (reason as Error).stack === "string" ? (reason as Error).stack : undefined));
  return { message: tool.redact(message), stack: stack && tool.redact(stack) };
}

/**
 * Reports whether a tool's author caused this failure on purpose: by throwing a ToolError, or by letting a downstream's
 * refusal through.
 */
export function isAuthorsOwn(reason: unknown): boolean {
  const known = attempt(() => {
    if (!isHttpError(reason)) return isToolError(reason);
    const { status = 0 } = reason;
    return status >= 400 && status <= 499;
  });
  return known === true;
}

/** Returns the result of `read`, or undefined if it throws. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
