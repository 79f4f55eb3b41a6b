import { hash } from "node:crypto";
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Violation } from "../../gen/jackfield/v1/tool_pb.ts";
import type { JsonSchema } from "../plugin/tool.ts";
import { checkSchema, SchemaError } from "./check-schema.ts";
import { addFormats } from "./formats.ts";
import { createPatternEngine } from "./linear-pattern.ts";
import { meterCode } from "./metered-code.ts";
import { addBoundedKeywords, ErrorLimitError, StepBudgetError, StepMeter } from "./step-meter.ts";
import { violation, ViolationList } from "./violations.ts";

/**
 * Returns the violations of a value, at most 20. `bytes` is the size of its JSON text, which determines the step budget
 * of the check; exceeding the budget is a violation.
 */
export type Validate = (value: unknown, bytes?: number) => readonly Violation[];

/** Step budget of any value, plus more for each byte. 262,144 bytes are checked within about 30 ms. */
const budget = { steps: 2_000_000, stepsPerByte: 40, bytes: 262_144 };

const options: Options = {
  allErrors: true,
  // DANGER: without this option, inherited properties such as `constructor` satisfy `required`.
  ownProperties: true,
  strict: false,
  validateFormats: true,
  // Referenced schemas become functions: inlined copies would multiply the code.
  inlineRefs: false,
  // Ajv logs the generated code of a schema that does not compile: megabytes of it.
  logger: false,
};

/** An Ajv instance whose validators take a bounded number of steps. */
interface MeteredAjv {
  readonly ajv: Ajv;
  readonly meter: StepMeter;
}

function createMeteredAjv(Kind: typeof Ajv | typeof Ajv2020): MeteredAjv {
  const meter = new StepMeter();
  const ajv = new Kind({ ...options, code: { regExp: createPatternEngine(meter), process: meterCode } });
  // The generated code accesses it as `self.meter`.
  Object.assign(ajv, { meter });
  addFormats(ajv, meter);
  addBoundedKeywords(ajv, meter);
  return { ajv, meter };
}

/** The validators in use. Equal schemas share one validator, which is compiled once and stays optimised. */
const validators = createWeakCache<Validate>();

/** Compiles a JSON Schema: draft-07, or 2020-12 by `$schema`. Throws a SchemaError. */
export type CompileSchema = (schema: JsonSchema) => Validate;

/** Compiles one JSON Schema. Throws a SchemaError. */
export function compileSchema(schema: JsonSchema): Validate {
  return createSchemaCompiler()(schema);
}

/** Number of schemas per Ajv instance. It retains some memory per schema, and is collected with the last of them. */
const schemasPerInstance = 250;

/** Creates a compiler for many schemas, at a tenth of the cost of compiling each alone. */
export function createSchemaCompiler(): CompileSchema {
  const shared = new Map<typeof Ajv | typeof Ajv2020, MeteredAjv & { left: number }>();
  return (schema) => {
    checkSchema(schema);
    const text = JSON.stringify(schema);
    const known = validators.get(text);
    if (known !== undefined) return known;
    const kind = String(schema["$schema"]).includes("2020-12") ? Ajv2020 : Ajv;
    // Schemas with `$id`s or dynamic anchors get their own instance, so that those of different tools cannot collide.
    const alone = /"(?:\$id|\$dynamic\w+|\$recursive\w+)"/.test(text);
    let one = alone ? undefined : shared.get(kind);
    if (one === undefined || one.left === 0) {
      one = { ...createMeteredAjv(kind), left: schemasPerInstance };
      if (!alone) shared.set(kind, one);
    }
    one.left--;
    const validate = compileWith(one, schema, text);
    validators.set(text, validate);
    return validate;
  };
}

/**
 * Creates a compiler for schemas that have been compiled before: it checks them at once, but compiles each on first
 * use. If compiling fails, no value is valid.
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
    return () => [violation("", message)];
  }
}

function compileWith({ ajv, meter }: MeteredAjv, schema: JsonSchema, text: string): Validate {
  let validate: ValidateFunction;
  // Ajv checks the schema against its meta-schema with metered validators too.
  meter.start(Number.POSITIVE_INFINITY, false);
  try {
    validate = ajv.compile(schema);
    // The engine compiles a function at its first call. Calling it here spares a tool's first call that delay.
    validate({});
  } catch (cause) {
    throw new SchemaError(reasonOf(cause), { cause });
  } finally {
    ajv.removeSchema(schema);
  }
  const hasCertainty =
    !/"\$(?:dynamic|recursive)?[rR]ef"/.test(text) || !/"(?:anyOf|oneOf|not|if|contains)"/.test(text);
  return (value, bytes = budget.bytes) => {
    meter.start(budget.steps + bytes * budget.stepsPerByte, hasCertainty);
    try {
      return validate(value) ? none : violationsFrom(validate.errors ?? []);
    } catch (error) {
      const { violations } = meter.certain;
      if (error instanceof ErrorLimitError) return violations;
      if (error instanceof StepBudgetError) return [...violations, violation("", tooMuchWork)];
      if (!(error instanceof RangeError)) throw error;
      return [violation("", "is nested too deeply for the schema")];
    }
  };
}

const none: readonly Violation[] = [];

const tooMuchWork = "takes too long to check against the schema: send less at once";

function violationsFrom(errors: readonly ErrorObject[]): readonly Violation[] {
  const list = new ViolationList();
  for (const error of errors) {
    if (list.isFull) break;
    list.add(error);
  }
  return list.violations;
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof RangeError) return "it is too large or nested too deeply to compile";
  if (message.includes("can't resolve reference")) return `${message}: only references within the schema are supported`;
  if (message.includes("error parsing regexp")) {
    return `${message}: patterns may use neither look-around nor back-references`;
  }
  return message.slice(0, 500);
}

/** A cache of objects by their source text. It holds objects weakly. */
interface WeakCache<T> {
  get(text: string): T | undefined;
  set(text: string, value: T): void;
}

/** Creates an empty cache. */
function createWeakCache<T extends WeakKey>(): WeakCache<T> {
  const values = new Map<string, WeakRef<T>>();
  const collected = new FinalizationRegistry<string>((key) => {
    if (values.get(key)?.deref() === undefined) values.delete(key);
  });
  return {
    get: (text) => values.get(digest(text))?.deref(),
    set(text, value) {
      const key = digest(text);
      values.set(key, new WeakRef(value));
      collected.register(value, key);
    },
  };
}

function digest(text: string): string {
  return hash("sha256", text, "base64url");
}
