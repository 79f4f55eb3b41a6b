import { type Attributes, type HrTime, type Meter, ValueType } from "@opentelemetry/api";
import { hrTime } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import type { CollectionResult, DataPoint, Histogram, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import type { Prices } from "../config/config.ts";
import { attributes, metricNames } from "./attributes.ts";
import { rememberPrices } from "./prices.ts";
import type { Instrument, Measure, Metrics } from "./telemetry.ts";

/** Bucket bounds in seconds: from a purely computing tool to one that waits for a slow downstream. */
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const breakerValue = { closed: 0, "half-open": 1, open: 2 } as const;

/** Creates the metrics. Measurements on the request path go to `series`, values read at collection to `meter`. */
export function createMetrics(meter: Meter, series: ReturnType<typeof createAccumulators>, prices: Prices): Metrics {
  const duration = (
    name: string,
    description: string,
    labels: readonly [string | undefined, string | undefined],
    constant = {},
  ) => series.histogram({ name, description, unit: "s", labels, constant }, seconds);
  const counter = (name: string, description: string, labels: readonly [string | undefined, string | undefined]) =>
    series.counter({ name, description, labels });
  const byOutcome = [attributes.toolName, attributes.outcome] as const;

  const toolDuration = duration(
    metricNames.toolDuration,
    "Time from start to end of executions whose tool ran.",
    byOutcome,
  );
  const rpcDuration = duration(
    metricNames.rpcDuration,
    "Time to answer an RPC.",
    [attributes.rpcMethod, attributes.rpcStatus],
    { [attributes.rpcSystem]: "connectrpc" },
  );
  const toolCalls = counter(metricNames.toolCalls, "Tool calls that ended, by outcome.", byOutcome);
  const toolCost = counter(metricNames.toolCost, "Cost of executions, by the configured prices.", [
    attributes.toolName,
    attributes.caller,
  ]);
  const deliveries = counter(metricNames.deliveries, "Delivery attempts, by result.", [
    attributes.platform,
    attributes.result,
  ]);

  const accessRefusals = counter(metricNames.accessRefused, "Requests refused because of their key or scope.", [
    attributes.target,
    attributes.code,
  ]);

  const breakers = new Map<string, number>();
  meter
    .createObservableGauge(metricNames.breakerState, {
      description: "Breaker of a downstream: 0 closed, 1 half-open, 2 open.",
    })
    .addCallback((result) => {
      for (const [origin, value] of breakers) result.observe(value, { [attributes.origin]: origin });
    });

  const priced = Object.keys(prices.tools).length > 0 || Object.keys(prices.callers).length > 0;
  const priceOf = rememberPrices(prices);

  return {
    executed({ tool, outcome, seconds: taken, ran, caller }) {
      // Names of unknown tools come from callers and must not become series.
      const name = outcome.endsWith("UNKNOWN_TOOL") ? "unknown" : tool;
      toolCalls(name, outcome, 1);
      if (!ran) return;
      toolDuration(name, outcome, taken);
      if (!priced) return;
      const price = priceOf(tool, caller);
      if (price > 0) toolCost(tool, caller, price);
    },
    rpcServed: rpcDuration,
    measureFor: createInstruments(meter, series, seconds),
    delivered({ platform, result }) {
      deliveries(platform, result, 1);
    },
    accessRefused({ code, target }) {
      accessRefusals(target, code, 1);
    },
    breakerChanged(origin, state) {
      breakers.set(origin, breakerValue[state]);
    },
    gauge(name, description, read) {
      meter.createObservableGauge(name, { description }).addCallback(async (result) => {
        try {
          const found = await read();
          if (typeof found === "number") result.observe(found);
          else for (const { value, attributes: labels } of found) result.observe(value, labels);
        } catch {
          // An unreadable number is omitted; the part that provides it reports the reason in the log and in /readyz.
        }
      });
    },
  };
}

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
