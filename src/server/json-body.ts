import { isUtf8 } from "node:buffer";
import type { FastifyRequest } from "fastify";
import type { IncomingHttpHeaders } from "node:http";
import { cutDepth, minCutBytes } from "../json/cut-depth.ts";
import { HttpError, notJson } from "./http-error.ts";

/** The limits of a JSON body. */
export interface JsonBodyLimits {
  /** Levels of nesting, the outermost value being the first. */
  readonly depth: number;
}

/** What routes declare of their bodies. */
interface RouteConfig {
  /** The body is a call's arguments: how deep it is and which keys it has is for the call's own checks. */
  readonly bodyIsArguments?: boolean;
}

/** Creates the content type parser of all routes. */
export function createBodyParser(limits: JsonBodyLimits) {
  return (request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void): void => {
    const { bodyIsArguments } = request.routeOptions.config as RouteConfig;
    try {
      request.onBody?.(body);
      requireJson(request.headers);
      done(null, bodyIsArguments === true ? parse(textOf(body)) : parseJsonBody(body, limits));
    } catch (error) {
      done(error as Error, undefined);
    }
  };
}

// The type, directly followed by well-formed parameters. Space before the first `;` and parameters without a value are
// refused: intermediaries disagree about what such a header means.
const json = /^application\/json(?:; ?[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*"))*$/i;
const charset = /; ?charset="?([^";]*)/i;

/** Tells whether a Content-Type says JSON in UTF-8. */
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
 * Parses the body of a JSON route. Throws an HttpError 400 for a body that is empty, not UTF-8, not JSON, nested too
 * deeply, or that carries `__proto__` or `constructor.prototype` keys. Whatever stands under a key named `arguments` is
 * exempt from the last two: its problems belong to that call, not to the request.
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
    // The parser's own message quotes the body: keep it out of the answer.
    throw new HttpError(400, "The request body is not valid JSON");
  }
}

/** Whether the text may hold a forbidden key: in plain letters, or written with `\u00..` escapes. */
function mayHide(text: string): boolean {
  return text.includes("__proto__") || text.includes("constructor") || text.includes("\\u00");
}

/** Whether the text opens more brackets than there are levels. Cheap for the usual body, which opens a few. */
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
 * The problem of a parsed envelope, or undefined: nesting beyond `depth` levels, a key `__proto__`, or a
 * key `constructor` with a `prototype` in it. Does not look below a key named `arguments`.
 */
function envelopeProblem(envelope: unknown, depth: number): string | undefined {
  // DANGER: never recurse here. A body of 1 MB can nest 500,000 levels; a level at a time keeps the stack flat.
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
