import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

/** The files whose functions were entered, in order, one item per entry. */
export interface FunctionEntries {
  /** Starts a recording. */
  start(): void;
  /** Ends the recording, and returns the entries since its start. */
  stop(): string[];
}

/**
 * Records every function entry of the modules below the given folders. It sees only modules that are imported later, and
 * only this thread.
 */
export function recordFunctionEntries(root: string, folders: readonly string[]): FunctionEntries {
  let entries: string[] | undefined;
  (globalThis as { jackfieldEnter?: (file: string) => void }).jackfieldEnter = (file) => void entries?.push(file);
  registerHooks({
    load(url, context, nextLoad) {
      const file = url.startsWith("file:") ? relative(root, fileURLToPath(url)).split(sep).join("/") : "";
      if (!folders.some((folder) => file.startsWith(`${folder}/`)) || !file.endsWith(".ts")) {
        return nextLoad(url, context);
      }
      const source = stripTypeScriptTypes(readFileSync(new URL(url), "utf8"));
      return { format: "module", source: withEntryCalls(source, file), shortCircuit: true };
    },
  });
  return {
    start() {
      entries = [];
    },
    stop() {
      const recorded = entries ?? [];
      entries = undefined;
      return recorded;
    },
  };
}

interface FunctionNode {
  readonly body?: { readonly type: string; readonly start: number; readonly end: number } | null;
}

/** Returns the source with a call at the beginning of every function body. */
function withEntryCalls(source: string, file: string): string {
  const call = `jackfieldEnter(${JSON.stringify(file)})`;
  const insertions: { at: number; text: string }[] = [];
  const visit = ({ body }: FunctionNode): void => {
    if (body === undefined || body === null) return;
    if (body.type === "BlockStatement" || body.type === "FunctionBody") {
      insertions.push({ at: body.start + 1, text: `${call};` });
    } else {
      insertions.push({ at: body.start, text: `(${call},` }, { at: body.end, text: ")" });
    }
  };
  const { program, errors } = parseSync(file.replace(/\.ts$/, ".js"), source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  new Visitor({
    FunctionDeclaration: visit,
    FunctionExpression: visit,
    ArrowFunctionExpression: visit,
  }).visit(program);
  return insertions
    .toSorted((one, other) => other.at - one.at)
    .reduce((text, { at, text: inserted }) => text.slice(0, at) + inserted + text.slice(at), source);
}
