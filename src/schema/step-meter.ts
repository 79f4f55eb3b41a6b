import type { ErrorObject } from "ajv";
import { escapePointer } from "../json/pointer.ts";
import { ViolationList } from "./violations.ts";

/** Ends a validation that would take more steps than its budget. */
export class StepBudgetError extends Error {
  override readonly name: string = "StepBudgetError";
}

/** Ends a validation that has found as many errors as are reported. */
export class ErrorLimitError extends Error {
  override readonly name: string = "ErrorLimitError";
}

/** Errors that may be held at a time. */
const maxErrorsHeld = 20_000;

/** Steps that the creation of one error counts as. */
const stepsPerError = 100;

/** Steps that listing one property name of an object counts as. */
const stepsPerKey = 100;

/** Steps that escaping or hashing one character counts as. */
const stepsPerCharacter = 20;

/** Keywords whose branches may fail although the value is valid. */
const inBranch = /\/(?:anyOf|oneOf|not|if|contains)\//;

/**
 * Counts the steps of one validation at a time, about two nanoseconds each, and collects its first certain errors. The
 * compiled code of schemas and the keywords with costs of their own report to it.
 */
export class StepMeter {
  /** Steps that are left. The compiled code subtracts from it directly. */
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

  /** Takes steps from the budget. Throws a StepBudgetError when none are left. */
  charge(steps: number): void {
    if ((this.left -= steps) < 0) this.fail();
  }

  fail(): never {
    throw new StepBudgetError();
  }

  /**
   * Takes note of an error that the compiled code has made, and of how many it holds. Below `not` and `if` the error is
   * an empty object.
   */
  report(error: Partial<ErrorObject>, held: number): void {
    this.charge(stepsPerError);
    if (held > maxErrorsHeld) this.fail();
    if (!isWhole(error)) return;
    this.charge(error.instancePath.length);
    if (!this.#hasCertainty || inBranch.test(error.schemaPath)) return;
    this.certain.add(error);
    if (this.certain.isFull) throw new ErrorLimitError();
  }

  /** Joins the errors of a referenced schema to those before. */
  join(before: ErrorObject[] | null, more: ErrorObject[]): ErrorObject[] {
    if (before === null) return more;
    this.charge(before.length + more.length);
    if (before.length + more.length > maxErrorsHeld) this.fail();
    return before.concat(more);
  }

  /** Object.keys. Lists the properties of the same object in a row only once. */
  keys(value: object): string[] {
    if (value === this.#listed) return this.#names;
    const names = Object.keys(value);
    this.charge(names.length * stepsPerKey);
    this.#listed = value;
    return (this.#names = names);
  }

  /** Object.assign. */
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
