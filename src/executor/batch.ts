import type { ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { ExecutionRequest } from "./contract.ts";
import { canonicalJson } from "../json/canonical.ts";
import { parseJson } from "../json/exact-number.ts";
import { errorResult } from "./tool-result.ts";

type ExecuteOne = (call: ToolCall, request: ExecutionRequest) => Promise<ToolResult> | ToolResult;

/**
 * Runs the calls of one batch, at most `concurrency` side by side; results in request order, `onResult` in the order in
 * which they end. A call id that stands twice runs once: both get its answer, or CONFLICT where the arguments differ.
 * Rejects when all have ended, if one of them could not be executed at all.
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
  const failures: unknown[] = [];
  const settle = (index: number, result: ToolResult): void => {
    results[index] = result;
    request.onResult?.(result);
  };

  async function work(): Promise<void> {
    for (let index = next++; index < calls.length; index = next++) {
      if (duplicates.has(index)) continue;
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
  for (const [index, first] of duplicates)
    settle(index, duplicateResult(calls, index, first, results[first] as ToolResult));
  return results;
}

/** For each call whose id stood before in the batch: the index of the first one. */
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

function duplicateResult(calls: readonly ToolCall[], index: number, first: number, result: ToolResult): ToolResult {
  const [call, original] = [calls[index] as ToolCall, calls[first] as ToolCall];
  if (call.name === original.name && argumentsText(call) === argumentsText(original)) return { ...result };
  return errorResult({ call }, Outcome.CONFLICT, modelError("conflict"));
}

function argumentsText({ input }: ToolCall): string {
  const text = input.case === "argumentsJson" ? input.value : undefined;
  try {
    return canonicalJson(text === undefined ? (input.value ?? {}) : parseJson(text === "" ? "{}" : text));
  } catch {
    // Not JSON, or nested too deeply: such calls get no further than their parsing.
    return text ?? "";
  }
}
