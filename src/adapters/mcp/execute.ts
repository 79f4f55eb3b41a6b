import type { Duration } from "@bufbuild/protobuf/wkt";
import type { CallContext, Progress, ToolCall, ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { RequestMessage } from "./message.ts";
import type { EventSink, Peer } from "./peer.ts";
import { notificationText } from "./protocol.ts";

/** A call whose id is an idempotency key, with its context. */
export interface KeyedCall {
  readonly call: ToolCall;
  readonly context: CallContext;
}

/** Runs a call, with its progress if the client requests it and reads events. Rejects with a ConnectError. */
export function execute(
  keyed: KeyedCall,
  answerWithin: Duration,
  { meta }: RequestMessage,
  peer: Peer,
): Promise<{ readonly result?: ToolResult }> {
  const token = meta["progressToken"];
  if (peer.events !== undefined && (typeof token === "string" || typeof token === "number"))
    return executeWithProgress(keyed, answerWithin, progressReporter(token, peer.events), peer);
  const { signal, values } = peer;
  return peer.clients.executor.executeTool(
    { $typeName: "jackfield.v1.ExecuteToolRequest", ...keyed, answerWithin },
    values === undefined ? { signal } : { signal, contextValues: values },
  );
}

async function executeWithProgress(
  { call, context }: KeyedCall,
  answerWithin: Duration,
  report: (progress: Progress) => void,
  { clients: { executor }, signal, values }: Peer,
): Promise<{ readonly result: ToolResult | undefined }> {
  const options = { signal, ...(values !== undefined && { contextValues: values }) };
  let result: ToolResult | undefined;
  // Reads to the end: leaving the stream early would count as a disconnected client.
  for await (const { event } of executor.executeTools({ calls: [call], context, answerWithin }, options)) {
    if (event.case === "progress") report(event.value);
    if (event.case === "result") result = event.value;
  }
  return { result };
}

/** Minimum difference between two reports, because MCP requires progress to increase with each. */
const minStep = 0.001;

function progressReporter(progressToken: string | number, events: EventSink): (progress: Progress) => void {
  let last = -minStep;
  return ({ fraction, message }) => {
    last = fraction > last ? fraction : last + minStep;
    events.offer(
      notificationText("notifications/progress", {
        progressToken,
        progress: Math.max(0, last),
        total: 1,
        ...(message !== "" && { message }),
      }),
    );
  };
}
