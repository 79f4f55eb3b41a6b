import type { Meter } from "@opentelemetry/api";
import type { Add, createAccumulators } from "./accumulators.ts";

/** A metric that is declared as data, by a part of the service that telemetry does not know. */
export interface Instrument {
  readonly name: string;
  readonly kind: "counter" | "histogram" | "gauge";
  readonly description: string;
  /** UCUM unit: `s` for seconds. */
  readonly unit?: string;
  /** Names of the labels, at most two. */
  readonly labels: readonly string[];
}

/** Adds to a counter, counts in a histogram or sets a gauge. Throws a RangeError for a name that was not declared. */
export type Measure = (name: string, labels: Readonly<Record<string, string>>, value: number) => void;

/** Makes declared instruments, each once, however often it is declared. */
export function createInstruments(
  meter: Meter,
  series: ReturnType<typeof createAccumulators>,
  boundaries: number[],
): (instruments: readonly Instrument[]) => Measure {
  const made = new Map<string, (labels: Readonly<Record<string, string>>, value: number) => void>();

  function make({ name, kind, description, unit, labels }: Instrument) {
    const [first, second] = labels;
    const family = { name, description, labels: [first, second] as const, ...(unit !== undefined && { unit }) };
    const adding = (add: Add) => (values: Readonly<Record<string, string>>, value: number) =>
      add(first === undefined ? "" : (values[first] ?? ""), second === undefined ? "" : (values[second] ?? ""), value);
    switch (kind) {
      case "counter":
        return adding(series.counter(family));
      case "histogram":
        return adding(series.histogram(family, boundaries));
      case "gauge":
        return createGauge(meter, family);
    }
  }

  return (instruments) => {
    for (const instrument of instruments) {
      if (!made.has(instrument.name)) made.set(instrument.name, make(instrument));
    }
    return (name, labels, value) => {
      const record = made.get(name);
      if (record === undefined) throw new RangeError(`the instrument ${name} was not declared`);
      record(labels, value);
    };
  };
}

/** A gauge that shows the last value of each series, and nothing before the first. */
function createGauge(meter: Meter, { name, description, unit }: { name: string; description: string; unit?: string }) {
  const last = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>();
  meter.createObservableGauge(name, { description, ...(unit !== undefined && { unit }) }).addCallback((result) => {
    for (const { labels, value } of last.values()) result.observe(value, labels);
  });
  return (labels: Readonly<Record<string, string>>, value: number): void => {
    last.set(JSON.stringify(labels), { labels, value });
  };
}
