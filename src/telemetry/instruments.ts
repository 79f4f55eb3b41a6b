import { type Attributes, type HrTime, type Meter, ValueType } from "@opentelemetry/api";
import { hrTime } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import type { CollectionResult, DataPoint, Histogram, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";

/** A metric declared as data, by a part of the service that telemetry does not know. */
export interface Instrument {
  readonly name: string;
  readonly kind: "counter" | "histogram" | "gauge";
  readonly description: string;
  /** UCUM unit, such as `s` for seconds. */
  readonly unit?: string;
  /** Names of the labels, at most two. */
  readonly labels: readonly string[];
}

/** Adds to a counter, records in a histogram or sets a gauge. Throws a RangeError for an undeclared name. */
export type Measure = (name: string, labels: Readonly<Record<string, string>>, value: number) => void;

/** Creates declared instruments. Repeated declarations share one instrument. */
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

/** Creates a gauge that reports the last value of each series, and nothing before the first. */
function createGauge(meter: Meter, { name, description, unit }: { name: string; description: string; unit?: string }) {
  const last = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>();
  meter.createObservableGauge(name, { description, ...(unit !== undefined && { unit }) }).addCallback((result) => {
    for (const { labels, value } of last.values()) result.observe(value, labels);
  });
  return (labels: Readonly<Record<string, string>>, value: number): void => {
    last.set(JSON.stringify(labels), { labels, value });
  };
}

/** Adds to the series of two label values. */
export type Add = (first: string, second: string, value: number) => void;

/** The name of a family of series, and the two attributes that distinguish them; undefined: none. */
export interface Family {
  readonly name: string;
  readonly description: string;
  readonly unit?: string;
  readonly labels: readonly [string | undefined, string | undefined];
  /** Attributes of all series. */
  readonly constant?: Attributes;
}

interface Series {
  readonly attributes: Attributes;
  sum: number;
  count: number;
  readonly buckets: number[];
}

/** Maximum number of series per family, because callers choose names. The rest share one series labelled `other`. */
const maxSeries = 20_000;

/**
 * Creates counters and histograms that cost a map look-up on the request path, a twentieth of the library's own. The
 * library's readers export them: pass `producer` to each.
 */
export function createAccumulators(options: { resource: Resource; scope: { name: string; version: string } }): {
  counter(family: Family): Add;
  histogram(family: Family, boundaries: number[]): Add;
  readonly producer: MetricProducer;
} {
  const startTime = hrTime();
  const collectors: ((endTime: HrTime) => MetricData)[] = [];

  const descriptor = ({ name, description, unit = "" }: Family) => ({
    name,
    description,
    unit,
    valueType: ValueType.DOUBLE,
  });

  return {
    counter(family) {
      const { find, all } = seriesOf(family, 0);
      collectors.push((endTime) => ({
        descriptor: descriptor(family),
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: all.map(({ attributes, sum }): DataPoint<number> => ({
          startTime,
          endTime,
          attributes,
          value: sum,
        })),
      }));
      return (first, second, value) => {
        find(first, second).sum += value;
      };
    },
    histogram(family, boundaries) {
      const { find, all } = seriesOf(family, boundaries.length + 1);
      collectors.push((endTime) => ({
        descriptor: descriptor(family),
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: all.map(({ attributes, sum, count, buckets }): DataPoint<Histogram> => ({
          startTime,
          endTime,
          attributes,
          value: { buckets: { boundaries, counts: [...buckets] }, sum, count },
        })),
      }));
      return (first, second, value) => {
        const series = find(first, second);
        let index = 0;
        while (index < boundaries.length && value > boundaries[index]!) index += 1;
        series.buckets[index]! += 1;
        series.sum += value;
        series.count += 1;
      };
    },
    producer: {
      collect(): Promise<CollectionResult> {
        const endTime = hrTime();
        const metrics = collectors
          .map((collector) => collector(endTime))
          .filter((metric) => metric.dataPoints.length > 0);
        return Promise.resolve({
          resourceMetrics: { resource: options.resource, scopeMetrics: [{ scope: options.scope, metrics }] },
          errors: [],
        });
      },
    },
  };
}

function seriesOf(
  { labels, constant }: Family,
  buckets: number,
): { find(first: string, second: string): Series; all: Series[] } {
  const seriesByLabels = new Map<string, Map<string, Series>>();
  const all: Series[] = [];
  const make = (first: string, second: string): Series => {
    if (all.length >= maxSeries && first !== "other") return find("other", "other");
    const attributes: Attributes = { ...constant };
    if (labels[0] !== undefined) attributes[labels[0]] = first;
    if (labels[1] !== undefined) attributes[labels[1]] = second;
    const series: Series = { attributes, sum: 0, count: 0, buckets: Array.from({ length: buckets }, () => 0) };
    const inner = seriesByLabels.get(first) ?? new Map<string, Series>();
    seriesByLabels.set(first, inner.set(second, series));
    all.push(series);
    return series;
  };
  const find = (first: string, second: string): Series => seriesByLabels.get(first)?.get(second) ?? make(first, second);
  return { find, all };
}
