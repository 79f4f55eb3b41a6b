import { isUtf8 } from "node:buffer";
import { HttpError } from "./http-error.ts";
import { envelopeProblem } from "./json-guard.ts";

/** The limits of a JSON body. */
export interface JsonBodyLimits {
  /** Levels of nesting, the outermost value being the first. */
  readonly depth: number;
}

/**
 * Parses the body of a JSON route. Throws an HttpError 400 for a body that is empty, not UTF-8, not JSON, nested too
 * deeply, or that carries `__proto__` or `constructor.prototype` keys. Whatever stands under a key named `arguments` is
 * exempt from the last two: its faults belong to that call, not to the request.
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

/** Parses a body that is a call's arguments: how deep it is and which keys it has is for the call's own checks. */
export function parseArgumentsBody(body: Buffer): unknown {
  return parse(textOf(body));
}

function textOf(body: Buffer): string {
  if (body.length === 0) throw new HttpError(400, "The request body must not be empty");
  if (!isUtf8(body)) throw new HttpError(400, "The request body is not valid UTF-8");
  return body.toString();
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
