import type { Duration } from "@bufbuild/protobuf/wkt";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type ExecuteToolResponse, ExecuteToolResponseSchema } from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { valueText } from "../../executor/ok-result.ts";
import type { Json } from "../../plugin/tool.ts";
import { stockWriter, type MessageWriter } from "./codec.ts";

const stock = stockWriter(ExecuteToolResponseSchema);

/**
 * Writes the answer of ExecuteTool. The JSON of a tool's answer is at hand as text: the general way would parse it, make
 * messages of it, and write those.
 */
export const executeToolWriter: MessageWriter = {
  json(message) {
    const { result } = message as ExecuteToolResponse;
    const value = result?.outcome === Outcome.OK ? valueText(result) : undefined;
    return result === undefined || value === undefined ? stock.json(message) : jsonOf(result, value);
  },
  binary(message) {
    const { result } = message as ExecuteToolResponse;
    const value = result?.outcome === Outcome.OK ? valueText(result) : undefined;
    return result === undefined || value === undefined ? stock.binary(message) : bytesOf(result, value);
  },
};

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

/** A field's number and how it is written, as one number. */
const tag = {
  varint: (field: number) => field << 3,
  fixed64: (field: number) => (field << 3) | 1,
  length: (field: number) => (field << 3) | 2,
};

/** Protobuf's binary form, under the same rules. */
function bytesOf(result: ToolResult, value: string): Uint8Array {
  const { callId, name, output, truncated, replayed, attempts, duration } = result;
  const writer = new BinaryWriter().uint32(tag.length(1)).fork();
  if (callId !== "") writer.uint32(tag.length(1)).string(callId);
  if (name !== "") writer.uint32(tag.length(2)).string(name);
  writer.uint32(tag.varint(3)).int32(Outcome.OK);
  if (output !== "") writer.uint32(tag.length(4)).string(output);
  if (value !== "") writeValue(writer.uint32(tag.length(5)).fork(), JSON.parse(value) as Json).join();
  if (truncated) writer.uint32(tag.varint(7)).bool(true);
  if (replayed) writer.uint32(tag.varint(8)).bool(true);
  if (attempts !== 0) writer.uint32(tag.varint(9)).int32(attempts);
  if (duration !== undefined) {
    writer.uint32(tag.length(10)).fork();
    if (duration.seconds !== 0n) writer.uint32(tag.varint(1)).int64(duration.seconds);
    if (duration.nanos !== 0) writer.uint32(tag.varint(2)).int32(duration.nanos);
    writer.join();
  }
  return writer.join().finish();
}

/** Writes JSON as google.protobuf.Value. The text that it comes from is nested at most 40 levels deep. */
function writeValue(writer: BinaryWriter, json: Json): BinaryWriter {
  if (json === null) return writer.uint32(tag.varint(1)).int32(0);
  if (typeof json === "number") return writer.uint32(tag.fixed64(2)).double(json);
  if (typeof json === "string") return writer.uint32(tag.length(3)).string(json);
  if (typeof json === "boolean") return writer.uint32(tag.varint(4)).bool(json);
  writer.uint32(tag.length(Array.isArray(json) ? 6 : 5)).fork();
  if (Array.isArray(json)) {
    for (const item of json) writeValue(writer.uint32(tag.length(1)).fork(), item).join();
  } else {
    for (const key of Object.keys(json)) {
      writer.uint32(tag.length(1)).fork().uint32(tag.length(1)).string(key);
      writeValue(writer.uint32(tag.length(2)).fork(), json[key] as Json)
        .join()
        .join();
    }
  }
  return writer.join();
}
