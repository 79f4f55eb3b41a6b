import { resolve } from "node:path";
import { escapePointer, unescapePointer } from "../json/pointer.ts";
import { readSecretFile, fileErrorMessage } from "./environment.ts";
import type { Environment } from "./environment.ts";

/**
 * The result of interpolation. `secretPaths` are the JSON pointers of the texts that contained a placeholder,
 * `wholePaths` of those that were nothing else, `unfilled` of those whose problem has been reported.
 */
export interface Interpolated {
  readonly value: unknown;
  readonly secretPaths: readonly string[];
  readonly wholePaths: ReadonlySet<string>;
  readonly unfilled: readonly string[];
}

const placeholder = /\$?\$\{([^}]*)\}/g;

/**
 * Replaces `${env:NAME}` and `${file:path}` in every text of a tree. `$${…}` yields a literal `${…}`. Relative paths
 * are resolved against `folder`. A placeholder that cannot be filled is a problem that names the key.
 */
export function interpolate(
  value: unknown,
  from: { folder: string; file: string; environment: Environment },
): Interpolated {
  const secretPaths: string[] = [];
  const wholePaths = new Set<string>();
  const unfilled: string[] = [];

  const fill = (text: string, pointer: string): string => {
    let filled = false;
    const result = text.replaceAll(placeholder, (whole: string, inside: string) => {
      if (whole.startsWith("$$")) return whole.slice(1);
      const found = lookUp(inside, pointer);
      if (found === undefined) unfilled.push(pointer);
      filled = true;
      return found ?? "";
    });
    if (filled) secretPaths.push(pointer);
    if (/^\$\{[^}]*\}$/.test(text)) wholePaths.add(pointer);
    return result;
  };

  const lookUp = (inside: string, pointer: string): string | undefined => {
    const key = keyFromPointer(pointer);
    const colon = inside.indexOf(":");
    const name = inside.slice(colon + 1);
    const kind = colon > 0 && name !== "" ? inside.slice(0, colon) : "";
    if (kind === "env") {
      const text = from.environment.secret(name);
      if (text !== undefined) return text;
      from.environment.problem(`${from.file}: ${key} needs the variable ${name}; found it not set or empty.`);
      return undefined;
    }
    if (kind === "file") {
      let found = "it is empty";
      try {
        const text = readSecretFile(resolve(from.folder, name));
        if (text !== "") return text;
      } catch (reason) {
        found = `it cannot be read (${fileErrorMessage(reason)})`;
      }
      from.environment.problem(`${from.file}: ${key} needs the file ${JSON.stringify(name)}; found that ${found}.`);
      return undefined;
    }
    from.environment.problem(
      `${from.file}: ${key} may contain \${env:NAME} or \${file:path}; found \${${inside}} (write $\${${inside}} for the text itself).`,
    );
    return undefined;
  };

  const walk = (node: unknown, pointer: string): unknown => {
    if (typeof node === "string") return fill(node, pointer);
    if (Array.isArray(node)) return node.map((item, index) => walk(item, `${pointer}/${index}`));
    if (typeof node !== "object" || node === null) return node;
    const copy: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(node)) {
      const filled = walk(item, `${pointer}/${escapePointer(key)}`);
      Object.defineProperty(copy, key, { value: filled, enumerable: true, writable: true, configurable: true });
    }
    return copy;
  };

  return { value: walk(value, ""), secretPaths, wholePaths, unfilled };
}

/** Formats a JSON pointer as a readable key: `/plugins/0/use` becomes `plugins[0].use`. */
export function keyFromPointer(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map(unescapePointer)
    .reduce((key, step) => {
      if (/^\d+$/.test(step)) return `${key}[${step}]`;
      const word = /^[\w-]+$/.test(step) ? step : JSON.stringify(step);
      return key === "" ? word : `${key}.${word}`;
    }, "");
}
