import { isUtf8 } from "node:buffer";
import type { FastifyRequest } from "fastify";
import type { IncomingHttpHeaders } from "node:http";
import { cutDepth, minCutBytes } from "../json/cut-depth.ts";
import { HttpError, notJson } from "./http-error.ts";

/** The limits of a JSON body. */
export interface JsonBodyLimits {
  /** Maximum nesting depth; the outermost value is level 1. */
  readonly depth: number;
}

declare module "fastify" {
  interface FastifyRequest {
    /** The body consists of a call's arguments, whose depth and keys are checked by the call itself. */
    bodyIsArguments?: boolean;
  }
}

/** Creates the content type parser of all routes. */
export function createBodyParser(limits: JsonBodyLimits) {
  return (request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void): void => {
    try {
      request.onBody?.(body);
      requireJson(request.headers);
      done(null, request.bodyIsArguments === true ? parse(textOf(body)) : parseJsonBody(body, limits));
    } catch (error) {
      done(error as Error, undefined);
    }
  };
}

// The type, directly followed by well-formed parameters. Space before the first `;` and parameters without a value are
// refused, because intermediaries interpret such headers differently.
const json = /^application\/json(?:; ?[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*"))*$/i;
const charset = /; ?charset="?([^";]*)/i;

/** Reports whether a Content-Type means JSON in UTF-8. */
function isJsonContentType(value: string | undefined): boolean {
  if (value === "application/json") return true;
  if (value === undefined || !json.test(value)) return false;
  const named = charset.exec(value)?.[1];
  return named === undefined || /^utf-?8$/i.test(named);
}

/** Throws an HttpError 415 unless the headers declare plain JSON. */
function requireJson(headers: IncomingHttpHeaders): void {
  if (!isJsonContentType(headers["content-type"])) throw new HttpError(415, notJson);
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new HttpError(415, "Content-Encoding must be identity");
  }
}

/**
 * Parses the body of a JSON route. Throws an HttpError 400 for a body that is empty, not UTF-8, not JSON or nested too
 * deeply, or that contains the keys `__proto__` or `constructor.prototype`. Values under a key named `arguments` are
 * exempt from the last two checks: their problems concern that call, not the request.
 */
export function parseJsonBody(body: Buffer, limits: JsonBodyLimits): unknown {
  const text = textOf(body);
  const value = parse(text);
  if (mayHide(text) || mayNest(text, limits.depth)) {
    const problem = envelopeProblem(value, limits.depth);
    if (problem !== undefined) throw new HttpError(400, problem);
  }
  return value;
}

function textOf(body: Buffer): string {
  if (body.length === 0) throw new HttpError(400, "The request body must not be empty");
  if (!isUtf8(body)) throw new HttpError(400, "The request body is not valid UTF-8");
  if (body.length < minCutBytes) return body.toString();
  const { buffer, byteOffset, byteLength } = cutDepth(body);
  return Buffer.from(buffer, byteOffset, byteLength).toString();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own message quotes the body, so it is not part of the answer.
    throw new HttpError(400, "The request body is not valid JSON");
  }
}

/** Reports whether the text may contain a forbidden key, either literally or with `\u00..` escapes. */
function mayHide(text: string): boolean {
  return text.includes("__proto__") || text.includes("constructor") || text.includes("\\u00");
}

/** Reports whether the text opens more brackets than there are levels. Cheap for usual bodies, which open few. */
function mayNest(text: string, depth: number): boolean {
  let opened = 0;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      opened += 1;
      if (opened > depth) return true;
    }
  }
  return false;
}

/**
 * Returns the problem of a parsed envelope, if any: nesting beyond `depth` levels, a key `__proto__`, or a key
 * `constructor` that contains `prototype`. Does not look below a key named `arguments`.
 */
function envelopeProblem(envelope: unknown, depth: number): string | undefined {
  // DANGER: never recurse here. A body of 1 MB can nest 500,000 levels; a loop over the levels keeps the stack flat.
  let level = isNested(envelope) ? [envelope] : [];
  for (let levels = 1; level.length > 0; levels += 1) {
    if (levels > depth) return `The request body is nested deeper than ${depth} levels`;
    const next: object[] = [];
    for (const parent of level) {
      if (Array.isArray(parent)) {
        for (const child of parent as unknown[]) if (isNested(child)) next.push(child);
      } else {
        const problem = forbiddenKey(parent);
        if (problem !== undefined) return problem;
        for (const [key, child] of Object.entries(parent)) {
          if (key !== "arguments" && isNested(child)) next.push(child);
        }
      }
    }
    level = next;
  }
  return undefined;
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function forbiddenKey(parent: object): string | undefined {
  if (Object.hasOwn(parent, "__proto__")) return "The request body must not have a key __proto__";
  if (!Object.hasOwn(parent, "constructor")) return undefined;
  const inner = (parent as Record<string, unknown>)["constructor"];
  if (!isNested(inner) || !Object.hasOwn(inner, "prototype")) return undefined;
  return "The request body must not have a key constructor.prototype";
}
