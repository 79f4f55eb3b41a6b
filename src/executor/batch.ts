import type { ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { ExecutionRequest } from "./contract.ts";
import { canonicalJson } from "../json/canonical.ts";
import { parseJson } from "../json/exact-number.ts";
import { createTurn } from "../timing.ts";
import { errorResult } from "./tool-result.ts";

/** Maximum time for which calls are started without a pause, in milliseconds. Then other requests get a turn. */
const turnMs = 10;

type ExecuteOne = (call: ToolCall, request: ExecutionRequest) => Promise<ToolResult> | ToolResult;

/**
 * Runs the calls of one batch, at most `concurrency` at a time. Results are in request order; `onResult` is called in
 * the order in which calls end. A call id that occurs twice runs once: both calls get its answer, or CONFLICT if their
 * arguments differ. If a call could not be executed at all, rejects after all of them have ended.
 */
export async function executeBatch(
  calls: readonly ToolCall[],
  request: ExecutionRequest,
  execute: ExecuteOne,
  concurrency: number,
): Promise<ToolResult[]> {
  const startedAt = performance.now();
  const results = Array.from<ToolResult>({ length: calls.length });
  const duplicates = findDuplicates(calls);
  let next = 0;
  // Reading large arguments takes time. Reading all those of one request without a pause would delay all other requests.
  const turn = createTurn(turnMs);
  const failures: unknown[] = [];
  const settle = (index: number, result: ToolResult): void => {
    results[index] = result;
    request.onResult?.(result);
  };

  async function work(): Promise<void> {
    for (let index = next++; index < calls.length; index = next++) {
      if (duplicates.has(index)) continue;
      while (turn.isOver) await turn.next();
      const { answerWithinMs } = request;
      const left =
        answerWithinMs === undefined ? undefined : Math.max(0, answerWithinMs - (performance.now() - startedAt));
      try {
        settle(index, await execute(calls[index] as ToolCall, { ...request, answerWithinMs: left }));
      } catch (reason) {
        failures.push(reason);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, calls.length) }, work));
  if (failures.length > 0) throw failures[0];
  const texts = new Map<ToolCall, string>();
  // Computed once for all repeats of a call: it may be as long as the request, and each repeat only a few bytes.
  const firstText = (call: ToolCall): string => {
    const text = texts.get(call) ?? argumentsText(call);
    texts.set(call, text);
    return text;
  };
  for (const [index, first] of duplicates) {
    while (turn.isOver) await turn.next();
    const [call, original] = [calls[index] as ToolCall, calls[first] as ToolCall];
    const isRepeat = call.name === original.name && argumentsText(call) === firstText(original);
    const result = { ...(results[first] as ToolResult) };
    settle(index, isRepeat ? result : errorResult({ call }, Outcome.CONFLICT, modelError("conflict")));
  }
  return results;
}

/** Returns, for each call whose id occurred earlier in the batch, the index of the first one. */
function findDuplicates(calls: readonly ToolCall[]): Map<number, number> {
  const firsts = new Map<string, number>();
  const duplicates = new Map<number, number>();
  for (const [index, { id }] of calls.entries()) {
    if (id === "") continue;
    const first = firsts.get(id);
    if (first === undefined) firsts.set(id, index);
    else duplicates.set(index, first);
  }
  return duplicates;
}

function argumentsText({ input }: ToolCall): string {
  const text = input.case === "argumentsJson" ? input.value : undefined;
  try {
    return canonicalJson(text === undefined ? (input.value ?? {}) : parseJson(text === "" ? "{}" : text));
  } catch {
    // Not JSON, or nested too deeply: such calls end when their arguments are parsed.
    return text ?? "";
  }
}
