import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Instrument, Measure } from "../adapter.ts";

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

const succeeded = { status: "success" };
const fellBack = { status: "fallback" };

/** Measures an answer. A call that outlived its answer deadline has its duration and cost measured when it ends. */
export function measureAnswer(result: ToolResult, measure: Measure): void {
  if (result.outcome !== Outcome.PENDING && !result.replayed) measureLateResult(result, measure);
  measure(invocations, result.outcome === Outcome.OK ? succeeded : fellBack, 1);
}

/** Measures duration and cost of a call whose tool ran. */
export function measureLateResult(result: ToolResult, measure: Measure): void {
  if (result.attempts === 0) return;
  measure(duration, {}, seconds(result));
  measure(cost, { tool: result.name, status: result.outcome === Outcome.OK ? "success" : "fallback" }, 1);
}

/** Measures a request that got a 5xx: for the caller it is a fallback as well. */
export function measureFailure(_failure: unknown, measure: Measure): void {
  measure(invocations, fellBack, 1);
}

function seconds({ duration: taken }: ToolResult): number {
  return taken === undefined ? 0 : Number(taken.seconds) + taken.nanos / 1e9;
}
