import type { AdapterHost, Measurement } from "./adapter.ts";

/** Records every measurement of a list. */
export function measureAll({ measure }: Pick<AdapterHost, "measure">, list: readonly Measurement[] | undefined): void {
  for (const { name, labels, value } of list ?? []) measure(name, labels, value);
}
