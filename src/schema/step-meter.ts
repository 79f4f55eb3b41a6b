import { type Ajv, _, type CodeKeywordDefinition, type ErrorObject, type FuncKeywordDefinition, str } from "ajv";
import { canonicalJson } from "../json/canonical.ts";
import type { ExactJson } from "../json/exact-number.ts";
import { escapePointer } from "../json/pointer.ts";
import { codePoints } from "../json/shorten.ts";
import { isMultipleOf } from "./multiple-of.ts";
import { ViolationList } from "./violations.ts";

/** Thrown to end a validation that exceeds its step budget. */
export class StepBudgetError extends Error {
  override readonly name: string = "StepBudgetError";
}

/** Thrown to end a validation that has found the maximum number of reported errors. */
export class ErrorLimitError extends Error {
  override readonly name: string = "ErrorLimitError";
}

/** Maximum number of errors held at a time. */
const maxCollectedErrors = 20_000;

/** Cost of creating an error, in steps. */
const stepsPerError = 100;

/** Cost of listing one property name of an object, in steps. */
const stepsPerKey = 100;

/** Cost of escaping or hashing one character, in steps. */
const stepsPerCharacter = 20;

/** Keywords whose branches may fail although the value is valid. */
const inBranch = /\/(?:anyOf|oneOf|not|if|contains)\//;

/**
 * Counts the steps of one validation at a time, about two nanoseconds each, and collects its first certain errors. The
 * compiled code of schemas and the keywords with their own costs report to it.
 */
export class StepMeter {
  /** Remaining steps. The compiled code subtracts from it directly. */
  left = 0;
  /** Errors that make the value invalid whatever follows. */
  certain = new ViolationList();
  #hasCertainty = false;
  #listed: object | undefined;
  #names: string[] = [];

  /** Starts a validation. `hasCertainty` is false for schemas in which a reference may lead into a branch. */
  start(steps: number, hasCertainty: boolean): void {
    this.left = steps;
    this.#hasCertainty = hasCertainty;
    this.#listed = undefined;
    if (this.certain.violations.length > 0) this.certain = new ViolationList();
  }

  /** Deducts steps from the budget. Throws a StepBudgetError when it is exhausted. */
  charge(steps: number): void {
    if ((this.left -= steps) < 0) this.fail();
  }

  fail(): never {
    throw new StepBudgetError();
  }

  /**
   * Records an error that the compiled code has created, and the number of errors that it holds. Below `not` and `if`
   * the error is an empty object.
   */
  report(error: Partial<ErrorObject>, collected: number): void {
    this.charge(stepsPerError);
    if (collected > maxCollectedErrors) this.fail();
    if (!isWhole(error)) return;
    this.charge(error.instancePath.length);
    if (!this.#hasCertainty || inBranch.test(error.schemaPath)) return;
    this.certain.add(error);
    if (this.certain.isFull) throw new ErrorLimitError();
  }

  /** Appends the errors of a referenced schema. */
  join(before: ErrorObject[] | null, more: ErrorObject[]): ErrorObject[] {
    if (before === null) return more;
    this.charge(before.length + more.length);
    if (before.length + more.length > maxCollectedErrors) this.fail();
    return before.concat(more);
  }

  /** Metered Object.keys. Lists the properties of the same object only once in a row. */
  keys(value: object): string[] {
    if (value === this.#listed) return this.#names;
    const names = Object.keys(value);
    this.charge(names.length * stepsPerKey);
    this.#listed = value;
    return (this.#names = names);
  }

  /** Metered Object.assign. */
  assign(to: object, from: object): object {
    this.charge(Object.keys(from).length * stepsPerKey);
    return Object.assign(to, from);
  }

  /** Escapes a property name for a JSON pointer. */
  escape(key: string): string {
    this.charge(key.length * stepsPerCharacter);
    return escapePointer(key);
  }
}

function isWhole(error: Partial<ErrorObject>): error is ErrorObject {
  return error.instancePath !== undefined;
}

/**
 * Replaces the keywords whose cost is not visible in Ajv's generated code: those that compare, count or hash whole
 * values. The replacements report their steps to the meter, take linear time, and produce Ajv's messages.
 */
export function addBoundedKeywords(ajv: Ajv, meter: StepMeter): void {
  for (const keyword of [...sizeKeywords(meter), ...valueKeywords(meter)]) {
    ajv.removeKeyword(keyword.keyword as string);
    ajv.addKeyword(keyword);
  }
}

type Keyword = FuncKeywordDefinition & { error: NonNullable<CodeKeywordDefinition["error"]> };

/** Compares a size with a keyword's limit. */
type SizeTest<Data> = (data: Data, limit: number) => boolean;

function sizeKeyword<Data>(keyword: string, isAllowed: SizeTest<Data>): Keyword {
  const ofString = keyword.endsWith("Length");
  const [comparison, unit] = [keyword.startsWith("max") ? "more" : "fewer", ofString ? "characters" : "properties"];
  return {
    keyword,
    type: ofString ? "string" : "object",
    schemaType: "number",
    errors: false,
    compile: (limit: number) => (data: unknown) => isAllowed(data as Data, limit),
    error: {
      message: ({ schemaCode }) => str`must NOT have ${comparison} than ${schemaCode} ${unit}`,
      params: ({ schemaCode }) => _`{limit: ${schemaCode}}`,
    },
  };
}

function sizeKeywords(meter: StepMeter): Keyword[] {
  const characters = (text: string): number => {
    meter.charge(text.length * 5);
    return codePoints(text);
  };
  const members = (value: object): number => meter.keys(value).length;
  // A character is one or two code units, so their number often suffices.
  const hasAtMost = (text: string, limit: number): boolean =>
    text.length <= limit || (text.length <= limit * 2 && characters(text) <= limit);
  const hasAtLeast = (text: string, limit: number): boolean =>
    text.length >= limit && (text.length >= limit * 2 || characters(text) >= limit);
  return [
    sizeKeyword("maxLength", hasAtMost),
    sizeKeyword("minLength", hasAtLeast),
    sizeKeyword("maxProperties", (value: object, limit) => members(value) <= limit),
    sizeKeyword("minProperties", (value: object, limit) => members(value) >= limit),
  ];
}

/** Cost of writing one character of canonical JSON, in steps. */
const stepsPerCanonicalCharacter = 15;

/** Returns a text that is equal for equal objects or arrays. */
function canonicalKey(meter: StepMeter, value: object): string {
  const text = canonicalJson(value as ExactJson);
  meter.charge(100 + text.length * stepsPerCanonicalCharacter);
  return text;
}

/** Creates a membership test for a list, in time independent of the list's length. */
function memberTest(meter: StepMeter, list: readonly unknown[]): (data: unknown) => boolean {
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  const plain = new Set(list.filter((value) => !isObject(value)));
  const objects = new Set(list.filter(isObject).map((value) => canonicalJson(value as ExactJson)));
  return (data) => {
    if (isObject(data)) return objects.size > 0 && objects.has(canonicalKey(meter, data));
    if (typeof data === "string") meter.charge(data.length >> 3);
    return plain.has(data);
  };
}

/** Reports whether all items are different. */
function areUnique(meter: StepMeter, items: readonly unknown[]): boolean {
  meter.charge(items.length * 20);
  // A string never equals the key of an object: JSON text of objects and arrays starts with a bracket, that of strings
  // with a quote.
  const keyOf = (item: unknown): unknown => {
    if (typeof item === "string") return `"${item}`;
    return typeof item === "object" && item !== null ? canonicalKey(meter, item) : item;
  };
  return new Set(items.map(keyOf)).size === items.length;
}

/** Cost of dividing decimals, in steps. */
const stepsPerDivision = 500;

function valueKeywords(meter: StepMeter): Keyword[] {
  return [
    {
      keyword: "uniqueItems",
      type: "array",
      schemaType: "boolean",
      errors: false,
      compile: (isWanted: boolean) => (items: readonly unknown[]) => !isWanted || areUnique(meter, items),
      error: { message: "must NOT have duplicate items" },
    },
    {
      keyword: "multipleOf",
      type: "number",
      schemaType: "number",
      errors: false,
      compile: (divisor: number) => (data: number) => {
        meter.charge(Number.isInteger(data) && Number.isInteger(divisor) ? 1 : stepsPerDivision);
        return isMultipleOf(data, divisor);
      },
      error: {
        message: ({ schemaCode }) => str`must be multiple of ${schemaCode}`,
        params: ({ schemaCode }) => _`{multipleOf: ${schemaCode}}`,
      },
    },
    {
      keyword: "const",
      errors: false,
      compile: (value: unknown) => memberTest(meter, [value]),
      error: { message: "must be equal to constant", params: ({ schemaCode }) => _`{allowedValue: ${schemaCode}}` },
    },
    {
      keyword: "enum",
      schemaType: "array",
      errors: false,
      compile: (values: readonly unknown[]) => memberTest(meter, values),
      error: {
        message: "must be equal to one of the allowed values",
        params: ({ schemaCode }) => _`{allowedValues: ${schemaCode}}`,
      },
    },
  ];
}
