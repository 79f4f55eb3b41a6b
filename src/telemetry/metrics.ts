import type { Meter } from "@opentelemetry/api";
import { matchesPattern } from "../auth/caller.ts";
import type { Prices } from "../config/config.ts";
import { attributes, metricNames } from "./attributes.ts";
import { type createAccumulators, createInstruments } from "./instruments.ts";
import type { Metrics } from "./telemetry.ts";

/** Bucket bounds in seconds: from a purely computing tool to one that waits for a slow downstream. */
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const breakerValue = { closed: 0, "half-open": 1, open: 2 } as const;
/** Maximum number of cached prices, by caller. */
const maxPrices = 20_000;

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
  const toolCost = counter(metricNames.toolCost, "What executions cost, by the configured prices.", [
    attributes.toolName,
    attributes.caller,
  ]);
  const deliveries = counter(metricNames.deliveries, "Deliveries tried, by what came of it.", [
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

/**
 * Creates a cached lookup of an execution's price: the caller's own price first, then the tool's; exact names before
 * patterns.
 */
function rememberPrices(prices: Prices): (tool: string, caller: string) => number {
  const priceIn = (table: Readonly<Record<string, number>> | undefined, tool: string): number | undefined => {
    if (table === undefined) return undefined;
    if (Object.hasOwn(table, tool)) return table[tool];
    return Object.entries(table).find(([pattern]) => matchesPattern(pattern, tool))?.[1];
  };
  const cached = new Map<string, Map<string, number>>();
  return (tool, caller) => {
    const known = cached.get(caller)?.get(tool);
    if (known !== undefined) return known;
    const own = Object.hasOwn(prices.callers, caller) ? prices.callers[caller] : undefined;
    const price = priceIn(own, tool) ?? priceIn(prices.tools, tool) ?? 0;
    const inner = cached.get(caller) ?? new Map<string, number>();
    if (inner.size < maxPrices) cached.set(caller, inner.set(tool, price));
    return price;
  };
}
