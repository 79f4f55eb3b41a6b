import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { Ajv } from "ajv";
import { type Document, type ErrorCode, LineCounter, parseDocument, visit, type YAMLError } from "yaml";
import type { Environment } from "./environment.ts";
import { fileErrorMessage } from "./environment.ts";
import { interpolate } from "./interpolate.ts";
import type { FileConfig } from "./schema.ts";
import { sentencesFromAjv } from "./sentences.ts";
import { convertPlaceholders } from "./typed-placeholders.ts";

/** A configuration file, possibly absent. */
export interface ConfigFile {
  /** Absolute path. Undefined if the default file is missing. */
  readonly path: string | undefined;
  /** Base folder of relative paths in it. */
  readonly folder: string;
  /** Content validated against the schema; empty if there were problems. */
  readonly content: FileConfig;
  /** JSON pointers of the texts that contained a placeholder. */
  readonly secretPaths: ReadonlySet<string>;
}

/**
 * Reads the file named by `JACKFIELD_CONFIG`, by default `jackfield.yaml`, which may be missing. Adds problems to
 * `environment`.
 */
export function readConfigFile(environment: Environment, cwd: string, schema: () => object): ConfigFile {
  const named = environment.get("JACKFIELD_CONFIG");
  const path = resolve(cwd, named ?? "jackfield.yaml");
  const none: ConfigFile = { path: undefined, folder: cwd, content: {}, secretPaths: new Set() };
  let source: string;
  try {
    source = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (reason) {
    const missing = reason instanceof Error && "code" in reason && reason.code === "ENOENT";
    if (named === undefined && missing) return none;
    const why = reason instanceof TypeError ? "it is not UTF-8 text" : fileErrorMessage(reason);
    const key = named === undefined ? "The configuration file" : "JACKFIELD_CONFIG";
    environment.problem(
      `${key} must name a file that can be read; found ${JSON.stringify(named ?? "jackfield.yaml")} (${why}).`,
    );
    return none;
  }
  return contentFrom(source, path, environment, schema);
}

/** Validates a configuration object as if it were a file in `folder`. */
export function configFromObject(
  settings: unknown,
  environment: Environment,
  folder: string,
  schema: () => object,
): ConfigFile {
  return checked(settings, { path: undefined, folder, file: "settings", environment, schema });
}

function contentFrom(source: string, path: string, environment: Environment, schema: () => object): ConfigFile {
  const file = basename(path);
  const folder = dirname(path);
  const parsed = parse(source, file, environment);
  if (parsed === undefined) return { path, folder, content: {}, secretPaths: new Set() };
  return checked(parsed, { path, folder, file, environment, schema });
}

/** Parameters for validating the content of a configuration file. */
interface ContentCheck {
  readonly path: string | undefined;
  readonly folder: string;
  /** Name of the file in problems. */
  readonly file: string;
  readonly environment: Environment;
  readonly schema: () => object;
}

function checked(parsed: unknown, { path, folder, file, environment, schema }: ContentCheck): ConfigFile {
  const empty: ConfigFile = { path, folder, content: {}, secretPaths: new Set() };
  const { value, secretPaths, wholePaths, unfilled } = interpolate(parsed, { folder, file, environment });
  const hidden = new Set(secretPaths);
  const check = new Ajv({
    allErrors: true,
    verbose: true,
    ownProperties: true,
    allowUnionTypes: true,
    // Validating our own schema on every start would take time and find nothing.
    validateSchema: false,
    code: { optimize: false },
  }).compile<FileConfig>(applicable(schema(), value));
  const isValid = check(value) || (convertPlaceholders(value, check.errors ?? [], wholePaths) && check(value));
  if (isValid && unfilled.length === 0) return { path, folder, content: value, secretPaths: hidden };
  // Unfilled placeholders have already been reported.
  const errors = (check.errors ?? []).filter(({ instancePath }) => !unfilled.includes(instancePath));
  for (const sentence of sentencesFromAjv(errors, file, hidden)) environment.problem(sentence);
  return empty;
}

/**
 * Returns the part of the file's schema that applies to a value: compiling all of it takes a tenth of a start. If the
 * value has an unknown key, that is all of it, because the problem suggests known ones.
 */
function applicable(schema: object, value: unknown): object {
  const { properties } = schema as { properties: Readonly<Record<string, unknown>> };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return schema;
  const names = Object.keys(value);
  if (!names.every((name) => Object.hasOwn(properties, name))) return schema;
  return { ...schema, properties: Object.fromEntries(names.map((name) => [name, properties[name]])) };
}

/** Problems whose message in the library is a fixed text. Any other message may quote the file, and so a secret. */
const fixedMessages: ReadonlySet<ErrorCode> = new Set([
  "BAD_INDENT",
  "BLOCK_AS_IMPLICIT_KEY",
  "BLOCK_IN_FLOW",
  "DUPLICATE_KEY",
  "MISSING_CHAR",
  "MULTILINE_IMPLICIT_KEY",
  "TAB_AS_INDENT",
]);

/** Parses the document as plain values, `{}` if it is empty; undefined if it is not valid YAML. */
function parse(source: string, file: string, environment: Environment): unknown {
  const lineCounter = new LineCounter();
  // A warning of the library would quote the file on stderr.
  const document = parseDocument(source, { lineCounter, logLevel: "error" });
  const problem = (found: string): void => environment.problem(`${file} must be YAML; found ${found}.`);
  const place = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  // Of the library's warnings only those about indentation are harmless: after all others, values mean something else.
  const errors = [...document.errors, ...document.warnings.filter(({ code }) => code !== "BAD_INDENT")];
  for (const error of errors) problem(`a problem at ${place(error.pos[0])}: ${wordsOf(error)}`);
  if (errors.length > 0) return undefined;
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    const offset = unresolvedAlias(document);
    problem(
      offset === undefined ? "aliases that cannot be resolved" : `an alias without its anchor at ${place(offset)}`,
    );
    return undefined;
  }
}

function wordsOf({ code, message }: YAMLError): string {
  if (fixedMessages.has(code)) return message.split(" at line ")[0] ?? code;
  if (code === "TAG_RESOLVE_FAILED") return "a tag that is not known (variables are written ${env:NAME})";
  return code.toLowerCase().replaceAll("_", " ");
}

/** Returns the offset of an alias without an anchor before it. */
function unresolvedAlias(document: Document): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return undefined;
      offset = alias.range?.[0];
      return visit.BREAK;
    },
  });
  return offset;
}
