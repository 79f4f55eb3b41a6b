import type { Duration } from "@bufbuild/protobuf/wkt";
import { type ExecuteToolResponse, ExecuteToolResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { valueText } from "../executor/outcome.ts";
import { stockWriter, type MessageWriter } from "./codec.ts";
import { finiteResult } from "./finite-result.ts";

const stock = stockWriter(ExecuteToolResponseSchema);

/**
 * Writes the answer of ExecuteTool. The JSON of a tool's answer is at hand as text: the general way would parse it, make
 * messages of it, and make the same text of them again.
 */
export const executeToolWriter: MessageWriter = {
  json(message) {
    const { result } = message as ExecuteToolResponse;
    const value = result?.outcome === Outcome.OK ? valueText(result) : undefined;
    return result === undefined || value === undefined ? stock.json(finite(message)) : jsonOf(result, value);
  },
  binary: (message) => stock.binary(finite(message)),
};

/** The message with a result that can be sent, its value made. */
function finite(message: Parameters<MessageWriter["json"]>[0]): ExecuteToolResponse {
  const response = message as ExecuteToolResponse;
  return response.result === undefined ? response : { ...response, result: finiteResult(response.result) };
}

/** Protobuf's JSON form: fields in their order, without those that have their default. Only of good results. */
function jsonOf(result: ToolResult, value: string): string {
  const { callId, name, output, truncated, replayed, attempts, duration } = result;
  let text = "";
  if (callId !== "") text += `,"callId":${JSON.stringify(callId)}`;
  if (name !== "") text += `,"name":${JSON.stringify(name)}`;
  text += ',"outcome":"OUTCOME_OK"';
  if (output !== "") text += `,"output":${JSON.stringify(output)}`;
  if (value !== "") text += `,"value":${value}`;
  if (truncated) text += ',"truncated":true';
  if (replayed) text += ',"replayed":true';
  if (attempts !== 0) text += `,"attempts":${attempts}`;
  if (duration !== undefined) text += `,"duration":"${durationText(duration)}"`;
  return `{"result":{${text.slice(1)}}}`;
}

function durationText({ seconds, nanos }: Duration): string {
  if (nanos === 0) return `${seconds}s`;
  const digits = String(nanos).padStart(9, "0");
  const kept = digits.endsWith("000000") ? 3 : digits.endsWith("000") ? 6 : 9;
  return `${seconds}.${digits.slice(0, kept)}s`;
}
