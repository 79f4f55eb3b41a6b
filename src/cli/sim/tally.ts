import { type AcknowledgedBatch, findingsFrom, type Findings, isRefusal, outputsFrom } from "./history.ts";
import type { ReceivedDelivery } from "./receiver.ts";
import type { ShotAnswer } from "./sender.ts";
import { type EntryPoint, entryPoints } from "./traffic.ts";

/** Latencies of one entry point, in milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The report of a simulation. */
export interface SimReport extends Findings {
  /** Number of requests by entry point. */
  readonly sent: Readonly<Record<EntryPoint, number>>;
  /** Number of answers by status; `0` is no answer. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly latencyMs: Readonly<Partial<Record<EntryPoint, Latencies>>>;
  /** Number of delivery attempts by result: `taken`, or the name of the fault. */
  readonly deliveries: Readonly<Record<string, number>>;
  /** Number of answers that report a failed tool: not a broken promise, but a reason to look at the service's log. */
  readonly toolFailures: number;
  /** True if no promise was broken. */
  readonly ok: boolean;
}

/** Collects the events of a simulation. */
export interface Tally {
  answered(answered: ShotAnswer): void;
  delivery(delivery: ReceivedDelivery): void;
  /** Number of acknowledged batches that the platform has neither accepted nor rejected yet. */
  readonly open: number;
  readonly answers: number;
  /** `deliveriesSeen` is false if nothing was received here: then the report omits deliveries. */
  report(deliveriesSeen: boolean): SimReport;
}

/** Answers that report that the call is still running, so that a repeat may get another one. */
const notFinal = /Please retry\.|still being processed|is busy\. Try again/;

const toolFailed = /Tool execution failed or timed out\.|External API returned|could not be reached/;

/** Creates an empty tally. */
export function createTally(): Tally {
  const acknowledged: AcknowledgedBatch[] = [];
  const deliveries: ReceivedDelivery[] = [];
  const faults: string[] = [];
  const statuses: Record<string, number> = {};
  const delivered: Record<string, number> = {};
  const times: Record<EntryPoint, number[]> = { runs: [], gateway: [], callbacks: [] };
  const outputs = new Map<string, string>();
  const open = new Set<string>();
  const settled = new Set<string>();
  let answers = 0;
  let toolFailures = 0;

  /** Checks that the same call always gets the same answer. */
  function compare(id: string, output: string): void {
    if (toolFailed.test(output)) toolFailures += 1;
    if (notFinal.test(output)) return;
    const before = outputs.get(id);
    if (before === undefined) outputs.set(id, output);
    else if (before !== output) faults.push(`The call ${id} was answered ${before} and then ${output}.`);
  }

  function judge({ shot, status, body, jobId }: ShotAnswer): void {
    if (status === 0 || status >= 500) return;
    const wanted = shot.malformed ? 400 : shot.entryPoint === "runs" ? 202 : 200;
    if (status !== wanted) {
      faults.push(`${shot.path} answered ${status} instead of ${wanted}: ${body.slice(0, 200)}`);
    } else if (status === 202) {
      acknowledged.push({ runId: runIdOf(shot.body), jobId, callIds: shot.callIds });
      if (!settled.has(jobId)) open.add(jobId);
    } else if (status === 200 && shot.entryPoint === "callbacks") {
      compare(shot.id, (JSON.parse(body) as { output: string }).output);
    } else if (status === 200) {
      const read = resultsFrom(body);
      if (read.length !== shot.callIds.length)
        faults.push(`The stream of ${shot.id} ended with ${read.length} of ${shot.callIds.length} results.`);
      for (const { id, output } of read) compare(id, output);
    }
  }

  return {
    get open() {
      return open.size;
    },
    get answers() {
      return answers;
    },
    answered(answer) {
      answers += 1;
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      times[answer.shot.entryPoint].push(answer.ms);
      judge(answer);
    },
    delivery(delivery) {
      deliveries.push(delivery);
      const kind = delivery.fault ?? "taken";
      delivered[kind] = (delivered[kind] ?? 0) + 1;
      if (delivery.status === 200 || isRefusal(delivery)) {
        if (!settled.has(delivery.key))
          toolFailures += outputsFrom(delivery.body).filter(({ output }) => toolFailed.test(output)).length;
        settled.add(delivery.key);
        open.delete(delivery.key);
      }
    },
    report(deliveriesSeen) {
      const findings = findingsFrom({ acknowledged, deliveries });
      const all = [...faults, ...(deliveriesSeen ? findings.faults : [])];
      return {
        ...findings,
        faults: all,
        ok: all.length === 0,
        sent: { runs: times.runs.length, gateway: times.gateway.length, callbacks: times.callbacks.length },
        statuses,
        latencyMs: Object.fromEntries(
          entryPoints.flatMap((entryPoint) =>
            times[entryPoint].length === 0 ? [] : [[entryPoint, latenciesFrom(times[entryPoint])]],
          ),
        ),
        deliveries: delivered,
        toolFailures,
      };
    },
  };
}

function runIdOf(body: string): string {
  return (JSON.parse(body) as { run_id: string }).run_id;
}

/** Returns the results in the LLM Gateway's stream; empty if its last event is missing. */
function resultsFrom(stream: string): { readonly id: string; readonly output: string }[] {
  const data = /^event: ?tool_result\r?\ndata: ?(.*)$/m.exec(stream)?.[1];
  if (data === undefined) return [];
  const { tool_results: results } = JSON.parse(data) as {
    tool_results: { id: string; function: { output: string } }[];
  };
  return results.map((result) => ({ id: result.id, output: result.function.output }));
}

function latenciesFrom(times: readonly number[]): Latencies {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
