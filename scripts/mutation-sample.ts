// A checker of StrykerJS that accepts a random sample of the mutants; `scripts/mutation.ts --sample` uses it.
// Stryker reports all others as compile errors, which count in no score.
import { createHash } from "node:crypto";

interface Mutant {
  readonly id: string;
  readonly fileName: string;
  readonly mutatorName: string;
  readonly replacement: string;
  readonly location: object;
}

interface Options {
  readonly sample: { readonly size: number; readonly seed: string; readonly from: number };
}

class SampleChecker {
  static readonly inject = ["options"] as const;
  readonly #sample: Options["sample"];

  constructor({ sample }: Options) {
    this.#sample = sample;
  }

  init(): void {}

  /** Returns one group: the sample is drawn from all mutants. */
  group(mutants: readonly Mutant[]): string[][] {
    return [mutants.map(({ id }) => id)];
  }

  check(mutants: readonly Mutant[]): Record<string, { status: string; reason?: string }> {
    const drawn = mutants
      .map((mutant) => ({ id: mutant.id, lot: this.#lotOf(mutant) }))
      .toSorted((a, b) => (a.lot < b.lot ? -1 : 1))
      .slice(this.#sample.from, this.#sample.from + this.#sample.size);
    const sample = new Set(drawn.map(({ id }) => id));
    return Object.fromEntries(
      mutants.map(({ id }) => [
        id,
        sample.has(id) ? { status: "passed" } : { status: "compileError", reason: "not in the sample" },
      ]),
    );
  }

  /** Returns the random number of a mutant by file, position and change: the same for a seed as long as these are the same. */
  #lotOf({ fileName, location, mutatorName, replacement }: Mutant): string {
    const file = fileName.slice(fileName.lastIndexOf("/src/"));
    return createHash("sha256")
      .update(JSON.stringify([this.#sample.seed, file, location, mutatorName, replacement]))
      .digest("hex");
  }
}

export const strykerPlugins = [{ kind: "Checker", name: "sample", injectableClass: SampleChecker }];

export const strykerValidationSchema = {
  properties: {
    sample: {
      type: "object",
      required: ["size", "seed", "from"],
      properties: {
        size: { type: "integer", minimum: 1 },
        seed: { type: "string" },
        from: { type: "integer", minimum: 0 },
      },
    },
  },
};
