import { setImmediate } from "node:timers/promises";
import type { ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { ExecutionRequest } from "./contract.ts";
import { canonicalJson } from "../json/canonical.ts";
import { parseJson } from "../json/exact-number.ts";
import { errorResult } from "./tool-result.ts";

/** How long calls are begun one after the other before other requests get their turn, in milliseconds. */
const turnMs = 10;

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
  let turnEnds = startedAt + turnMs;
  let nextTurn: Promise<void> | undefined;
  const failures: unknown[] = [];
  const settle = (index: number, result: ToolResult): void => {
    results[index] = result;
    request.onResult?.(result);
  };

  /** Waits until others have had their turn. */
  async function takeTurn(): Promise<void> {
    await setImmediate();
    nextTurn = undefined;
    turnEnds = performance.now() + turnMs;
  }

  async function work(): Promise<void> {
    for (let index = next++; index < calls.length; index = next++) {
      if (duplicates.has(index)) continue;
      // Large arguments take their time to be read: all those of a request at once would hold up everybody else.
      while (performance.now() > turnEnds) await (nextTurn ??= takeTurn());
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
  // Once for all repeats of a call: it may be as long as a request, and each repeat a few bytes.
  const firstText = (call: ToolCall): string => {
    const text = texts.get(call) ?? argumentsText(call);
    texts.set(call, text);
    return text;
  };
  for (const [index, first] of duplicates) {
    const [call, original] = [calls[index] as ToolCall, calls[first] as ToolCall];
    const isRepeat = call.name === original.name && argumentsText(call) === firstText(original);
    const result = { ...(results[first] as ToolResult) };
    settle(index, isRepeat ? result : errorResult({ call }, Outcome.CONFLICT, modelError("conflict")));
  }
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

function argumentsText({ input }: ToolCall): string {
  const text = input.case === "argumentsJson" ? input.value : undefined;
  try {
    return canonicalJson(text === undefined ? (input.value ?? {}) : parseJson(text === "" ? "{}" : text));
  } catch {
    // Not JSON, or nested too deeply: such calls get no further than their parsing.
    return text ?? "";
  }
}
