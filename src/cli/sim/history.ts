import type { ReceivedDelivery } from "./receiver.ts";

/** A batch that the service answered with 202: from then on it must not be lost. */
export interface AcknowledgedBatch {
  readonly runId: string;
  /** The header `Jackfield-Job-Id`. */
  readonly jobId: string;
  readonly callIds: readonly string[];
}

/** A request to a downstream from a tool that changes something. */
export interface EffectRequest {
  readonly effect: "idempotent" | "write";
  readonly callId: string;
  /** Its `Idempotency-Key`. */
  readonly key: string;
}

/** The deliveries that the platform received, and the requests that the downstream received, if known. */
export interface History {
  readonly acknowledged: readonly AcknowledgedBatch[];
  readonly deliveries: readonly ReceivedDelivery[];
  readonly effects?: readonly EffectRequest[];
}

/** Findings from the histories. */
export interface Findings {
  /** Number of acknowledged batches, each counted once. */
  readonly acknowledged: number;
  /** Number of acknowledged batches that the platform accepted. */
  readonly delivered: number;
  /** Number of acknowledged batches that the platform rejected permanently (403, or repeated 401). */
  readonly refused: number;
  /** Number of deliveries accepted more than once, which happens when an answer was lost. */
  readonly repeated: number;
  /** Broken promises, one sentence each. */
  readonly faults: readonly string[];
}

/** Analyses the histories and reports broken promises of the contract. */
export function findingsFrom({ acknowledged, deliveries, effects = [] }: History): Findings {
  const faults: string[] = [];
  const byKey = Map.groupBy(deliveries, (delivery) => delivery.key);
  const batches = new Map<string, AcknowledgedBatch>();
  for (const batch of acknowledged) {
    const before = batches.get(idOf(batch));
    if (before !== undefined && before.jobId !== batch.jobId) {
      faults.push(`The run ${batch.runId} was acknowledged as two jobs, ${before.jobId} and ${batch.jobId}.`);
    }
    batches.set(idOf(batch), batch);
  }
  let delivered = 0;
  let refused = 0;
  for (const batch of batches.values()) {
    const tries = byKey.get(batch.jobId) ?? [];
    if (tries.some(isTaken)) delivered += 1;
    else if (tries.some(isRefusal)) refused += 1;
    else
      faults.push(
        `The job ${batch.jobId} of the run ${batch.runId} was acknowledged and never delivered (${tries.length} tries).`,
      );
    faults.push(...faultsOfBatch(batch, tries));
  }
  return {
    acknowledged: batches.size,
    delivered,
    refused,
    repeated: [...byKey.values()].filter((tries) => tries.filter(isTaken).length > 1).length,
    faults: [...faults, ...faultsOfBodies(byKey), ...faultsOfEffects(effects)],
  };
}

function faultsOfBatch(batch: AcknowledgedBatch, tries: readonly ReceivedDelivery[]): string[] {
  const [first] = tries;
  if (first === undefined) return [];
  const ids = outputsFrom(first.body).map(({ id }) => id);
  const faults: string[] = [];
  if (first.runId !== batch.runId)
    faults.push(`The job ${batch.jobId} was delivered to the run ${first.runId} instead of ${batch.runId}.`);
  if (ids.join("\n") !== batch.callIds.join("\n")) {
    faults.push(
      `The job ${batch.jobId} was delivered with the calls ${ids.join(", ")} instead of ${batch.callIds.join(", ")}.`,
    );
  }
  return faults;
}

function faultsOfBodies(byKey: ReadonlyMap<string, readonly ReceivedDelivery[]>): string[] {
  return [...byKey].flatMap(([key, tries]) => {
    if (key === "") return [`${tries.length} deliveries had no Idempotency-Key.`];
    const bodies = new Set(tries.map(({ runId, body }) => `${runId}\n${body}`));
    return bodies.size > 1 ? [`The job ${key} was delivered with ${bodies.size} different bodies.`] : [];
  });
}

function faultsOfEffects(effects: readonly EffectRequest[]): string[] {
  const byCall = Map.groupBy(effects, ({ effect, callId }) => `${effect} ${callId}`);
  return [...byCall].flatMap(([call, requests]) => {
    const keys = new Set(requests.map(({ key }) => key)).size;
    if (keys > 1) return [`The call ${call} reached the downstream with ${keys} different keys.`];
    return call.startsWith("write ") && requests.length > 1
      ? [`The call ${call} took effect ${requests.length} times.`]
      : [];
  });
}

/** Returns the outputs of a delivery by call, in order. */
export function outputsFrom(body: string): { readonly id: string; readonly output: string }[] {
  const { tool_calls: calls } = JSON.parse(body) as { tool_calls: { tool_call_id: string; output: string }[] };
  return calls.map(({ tool_call_id: id, output }) => ({ id, output }));
}

function idOf({ runId, callIds }: AcknowledgedBatch): string {
  return JSON.stringify([runId, callIds]);
}

function isTaken({ status }: ReceivedDelivery): boolean {
  return status >= 200 && status < 300;
}

/** Reports whether the platform rejected a delivery permanently, so that a retry could not help. */
export function isRefusal({ status, fault }: ReceivedDelivery): boolean {
  return fault === "401-always" || (status >= 400 && status < 500 && ![401, 408, 409, 429].includes(status));
}
