import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Instrument, Measurement } from "../adapter.ts";

const invocations = "cognigy.tool.invocations";
const duration = "cognigy.tool.execution.duration";
const cost = "cognigy.tool.cost.attribution";

/** Metrics of the Cognigy adapter. Source: requirement 003.10. */
export const cognigyInstruments: readonly Instrument[] = [
  { name: invocations, kind: "counter", description: "Cognigy callbacks answered.", labels: ["status"] },
  { name: duration, kind: "histogram", description: "Time of Cognigy tool calls that ran.", unit: "s", labels: [] },
  {
    name: cost,
    kind: "counter",
    description: "Cognigy tool calls that ran, for attributing their cost.",
    labels: ["tool", "status"],
  },
];

const answeredWell: Measurement = { name: invocations, labels: { status: "success" }, value: 1 };
const answeredByFallback: Measurement = { name: invocations, labels: { status: "fallback" }, value: 1 };

/** Measures an answer. A call that outlived its answer deadline has its duration and cost measured when it ends. */
export function measureAnswer(result: ToolResult): readonly Measurement[] {
  const answered = result.outcome === Outcome.OK ? answeredWell : answeredByFallback;
  const ran = result.outcome !== Outcome.PENDING && !result.replayed;
  return ran ? [answered, ...measureLateResult(result)] : [answered];
}

/** Measures duration and cost of a call whose tool ran. */
export function measureLateResult(result: ToolResult): readonly Measurement[] {
  if (result.attempts === 0) return [];
  const status = result.outcome === Outcome.OK ? "success" : "fallback";
  return [
    { name: duration, labels: {}, value: seconds(result) },
    { name: cost, labels: { tool: result.name, status }, value: 1 },
  ];
}

/** Measures a request that got a 5xx: for the caller it is a fallback as well. */
export function measureFailure(): readonly Measurement[] {
  return [answeredByFallback];
}

function seconds({ duration: taken }: ToolResult): number {
  return taken === undefined ? 0 : Number(taken.seconds) + taken.nanos / 1e9;
}
