import { Ajv, type ErrorObject, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import * as formats from "ajv-formats";
import type { Violation } from "../../gen/jackfield/v1/tool_pb.ts";
import type { JsonSchema } from "../plugin/tool.ts";
import { linearPattern } from "./linear-pattern.ts";
import { checkSchema, SchemaError } from "./check-schema.ts";
import { createShared } from "./weak-cache.ts";
import { addUniqueItems } from "./unique-items.ts";

/** Most violations that are reported of one value. */
const mostViolations = 20;

/** All faults of a value, empty where it is good. */
export type Validate = (value: unknown) => readonly Violation[];

const options: Options = {
  allErrors: true,
  // DANGER: without it `required` is satisfied by what every object inherits, such as `constructor`.
  ownProperties: true,
  strict: false,
  validateFormats: true,
  // Ajv prints the generated code of a schema that does not compile: megabytes of it.
  logger: false,
  code: { regExp: linearPattern },
};

/** The validators in use: tools made from one mould share theirs, which is then compiled once and stays warm. */
const validators = createShared<Validate>();

/** Compiles a JSON Schema: draft-07, or 2020-12 by `$schema`. Throws a SchemaError. */
export type CompileSchema = (schema: JsonSchema) => Validate;

/** Compiles one JSON Schema by itself. Throws a SchemaError. */
export function compileSchema(schema: JsonSchema): Validate {
  return createSchemaCompiler()(schema);
}

/** Schemas that share one instance: it keeps a little of each, and goes when the last of them does. */
const schemasPerInstance = 250;

/** Makes a compiler for many schemas: it costs each of them a tenth of what compiling it by itself does. */
export function createSchemaCompiler(): CompileSchema {
  const shared = new Map<typeof Ajv | typeof Ajv2020, { ajv: Ajv; left: number }>();
  return (schema) => {
    checkSchema(schema);
    const text = JSON.stringify(schema);
    const known = validators.get(text);
    if (known !== undefined) return known;
    const kind = String(schema["$schema"]).includes("2020-12") ? Ajv2020 : Ajv;
    // `$id`s and dynamic anchors of different tools must never meet.
    const alone = /"(?:\$id|\$dynamic\w+|\$recursive\w+)"/.test(text);
    let one = alone ? undefined : shared.get(kind);
    if (one === undefined || one.left === 0) {
      one = { ajv: new kind(options), left: schemasPerInstance };
      formats.default.default(one.ajv);
      addUniqueItems(one.ajv);
      if (!alone) shared.set(kind, one);
    }
    one.left--;
    const validate = compileWith(one.ajv, schema);
    validators.set(text, validate);
    return validate;
  };
}

/**
 * A compiler for schemas that have been compiled before: it looks at them at once, and compiles each when its first value
 * comes. Where that fails after all, no value passes.
 */
export function createLazyCompiler(compile: CompileSchema): CompileSchema {
  return (schema) => {
    checkSchema(schema);
    let validate: Validate | undefined;
    return (value) => (validate ??= compileOrRefuse(compile, schema))(value);
  };
}

function compileOrRefuse(compile: CompileSchema, schema: JsonSchema): Validate {
  try {
    return compile(schema);
  } catch (cause) {
    const message = `cannot be checked, as the tool's schema cannot be used: ${(cause as Error).message}`;
    return () => [{ $typeName: "jackfield.v1.Violation", path: "", message }];
  }
}

function compileWith(ajv: Ajv, schema: JsonSchema): Validate {
  let validate: ValidateFunction;
  try {
    validate = ajv.compile(schema);
  } catch (cause) {
    throw new SchemaError(reasonOf(cause), { cause });
  } finally {
    ajv.removeSchema(schema);
  }
  return (value) => {
    let good: boolean;
    try {
      good = validate(value);
    } catch {
      return [{ $typeName: "jackfield.v1.Violation", path: "", message: "is nested too deeply for the schema" }];
    }
    return good ? none : violationsFrom(validate.errors ?? []);
  };
}

const none: readonly Violation[] = [];

/** Ajv's errors in words that name the property and the allowed values, so that a model can mend its call. */
function violationsFrom(errors: readonly ErrorObject[]): Violation[] {
  const seen = new Set<string>();
  const violations: Violation[] = [];
  for (const error of errors) {
    const message = messageOf(error);
    const key = `${error.instancePath} ${message}`;
    if (seen.has(key)) continue;
    seen.add(key);
    violations.push({ $typeName: "jackfield.v1.Violation", path: error.instancePath, message });
    if (violations.length === mostViolations) break;
  }
  return violations;
}

function messageOf({ keyword, message, params }: ErrorObject): string {
  const words = message ?? `does not pass ${keyword}`;
  const details = params as {
    additionalProperty?: string;
    unevaluatedProperty?: string;
    allowedValues?: unknown[];
    allowedValue?: unknown;
  };
  const surplus = details.additionalProperty ?? details.unevaluatedProperty;
  if (surplus !== undefined) return `${words}: ${surplus}`;
  if (details.allowedValues !== undefined) return `${words}: ${details.allowedValues.map(literal).join(", ")}`;
  if (keyword === "const") return `${words}: ${literal(details.allowedValue)}`;
  return words;
}

function literal(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof RangeError) return "it is too large or nested too deeply to compile";
  if (message.includes("can't resolve reference")) return `${message}: only references inside the schema are followed`;
  if (message.includes("error parsing regexp")) {
    return `${message}: patterns may use neither look-around nor back-references`;
  }
  return message.slice(0, 500);
}
