import type { ErrorObject } from "ajv";
import { escapePointer } from "../json/pointer.ts";
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
const maxErrorsHeld = 20_000;

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
  report(error: Partial<ErrorObject>, held: number): void {
    this.charge(stepsPerError);
    if (held > maxErrorsHeld) this.fail();
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
    if (before.length + more.length > maxErrorsHeld) this.fail();
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
