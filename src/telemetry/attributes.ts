/** All attribute names of spans and metrics. */
export const attributes = {
  operation: "gen_ai.operation.name",
  toolName: "gen_ai.tool.name",
  toolCallId: "gen_ai.tool.call.id",
  conversation: "gen_ai.conversation.id",
  session: "session.id",
  errorType: "error.type",
  rpcSystem: "rpc.system.name",
  rpcMethod: "rpc.method",
  rpcStatus: "rpc.response.status_code",
  outcome: "jackfield.outcome",
  source: "jackfield.source",
  caller: "jackfield.caller",
  tenant: "jackfield.tenant",
  replayed: "jackfield.replayed",
  platform: "jackfield.platform",
  result: "jackfield.result",
  origin: "jackfield.origin",
  target: "jackfield.target",
  code: "jackfield.code",
  jobState: "jackfield.job.state",
  jobId: "jackfield.job.id",
  runId: "jackfield.run.id",
  // Names that the requirements prescribe.
  specConversation: "conversation.id",
  specModel: "model",
  specIteration: "iteration",
  specToolCount: "tool_count",
  specLatency: "latency_ms",
  specToolName: "tool.name",
  specToolCallId: "tool.call_id",
  specSuccess: "success",
  specTool: "tool",
  specStatus: "status",
} as const;

/** Returns the ids of a call's context as span attributes, omitting missing ones. */
export function contextAttributes(
  {
    conversationId,
    sessionId,
    runId,
  }: { readonly conversationId: string; readonly sessionId: string; readonly runId: string },
  jobId: string | undefined,
): Record<string, string> {
  return {
    ...(conversationId && { [attributes.conversation]: conversationId }),
    ...(sessionId && { [attributes.session]: sessionId }),
    ...(runId && { [attributes.runId]: runId }),
    ...(jobId && { [attributes.jobId]: jobId }),
  };
}

/** Returns the ids of a call's context as fields of a log line. */
export function contextFields(
  {
    conversationId,
    sessionId,
    runId,
  }: { readonly conversationId: string; readonly sessionId: string; readonly runId: string },
  jobId: string | undefined,
): Record<string, string | undefined> {
  return {
    conversation: conversationId || undefined,
    session: sessionId || undefined,
    run_id: runId || undefined,
    job: jobId || undefined,
  };
}

/** Span names. The functions take the tool's name. */
export const spans = {
  conversation: "genesys.llm.gateway.conversation",
  invocation: "genesys.llm.gateway.invocation",
  toolOfConversation: (tool: string): string => `tool.execute.${tool}`,
  execution: (tool: string): string => `execute_tool ${tool}`,
} as const;

/**
 * All metric names, in OpenTelemetry's notation. Prometheus replaces `.` with `_`, and appends the unit and `_total`.
 */
export const metricNames = {
  toolDuration: "gen_ai.execute_tool.duration",
  toolCalls: "jackfield.tool.calls",
  toolCost: "jackfield.tool.cost",
  rpcDuration: "rpc.server.call.duration",
  deliveries: "jackfield.deliveries",
  accessRefused: "jackfield.access.refused",
  breakerState: "jackfield.breaker.state",
  auditLost: "jackfield.audit.lost",
  logDropped: "jackfield.log.dropped",
  // Reported through `gauge` by the part that knows the number.
  queueDepth: "jackfield.jobs.depth",
  oldestJobAge: "jackfield.jobs.oldest_age_seconds",
  deadLetters: "jackfield.jobs.dead_letters",
  running: "jackfield.executions.running",
} as const;
