import * as fc from "fast-check";
import { rpc } from "../support/http-client.ts";
import { salt } from "./arbitraries.ts";
import type { Door } from "./door.ts";
import { doors } from "./doors/doors.ts";
import { exchange, type FuzzRequest } from "./exchange.ts";
import { type FuzzedService, key, startFuzzedService } from "./service.ts";

/** Duration and start. */
export interface FuzzOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Only this entry point. */
  readonly door?: string | undefined;
  /** Only this case, in which a failure was found. */
  readonly path?: string | undefined;
  /** One batch of each entry point, without confirmation of failures. */
  readonly once?: boolean;
  /** Maximum time for which an input may block the event loop, in milliseconds, on a machine of the usual speed. */
  readonly maxStallMs?: number;
  readonly log: (line: string) => void;
}

/** The result of a run. */
export interface FuzzReport {
  /** A failure with everything that repeats it: seed, path and the smallest counterexample. */
  readonly failure: string | undefined;
  readonly cases: number;
  /** A line for the reader. */
  readonly summary: string;
}

/** Time limit of the search for a smaller counterexample, in milliseconds. */
const shrinkMs = 30_000;
/** Cases of one entry point in a row; then memory is measured and an ordinary call must be answered. */
const casesPerBatch = 20;
/** CPU time of the watcher's fixed work on a machine of the usual speed, in milliseconds. */
const usualWorkMs = 8;
/** Memory that a batch may keep in use beyond twice its input, in bytes: caches, compiled code, pages of stores. */
const slackBytes = 8 * 1_048_576;

/**
 * Sends generated requests to every entry point until the time is over or one of them fails. A batch that fails is sent once
 * more to a service of its own: effects of other work on the machine, or of earlier batches, are not failures.
 */
export async function fuzz({
  seconds,
  seed,
  door: only,
  path,
  once = path !== undefined,
  maxStallMs = 50,
  log,
}: FuzzOptions): Promise<FuzzReport> {
  await using service = await startFuzzedService();
  const { fixedWorkMs } = await service.measure("calibrate");
  log(`fuzz: seed ${seed}, ${seconds} s; ${fixedWorkMs.toFixed(0)} ms for work that usually takes ${usualWorkMs} ms`);

  const end = performance.now() + seconds * 1000;
  /** Limits a slow batch, for example of schemas that take long to compile, so that the others get their time. */
  const batchMs = (seconds * 1000) / doors.length;
  const chosen = doors.filter(({ name }) => only === undefined || name === only);
  const totals = { cases: 0, bytes: 0, stallMs: 0 };
  let sent = 0;
  let first = 0;
  let live = 0;
  let shrinkUntil = Number.POSITIVE_INFINITY;

  async function send(requests: readonly FuzzRequest[], door: Door): Promise<void> {
    sent += 1;
    for (const request of requests) {
      const ready = salted(request, sent, service.targetUrl);
      totals.bytes += ready.body.length + ready.headers.join("").length;
      const answer = await exchange(service.url, ready);
      if (answer === undefined) continue;
      door.check(answer, ready);
      const jobId = answer.headers.get("jackfield-job-id");
      if (jobId !== undefined) await jobEnded(service, jobId);
    }
  }

  /** Checks a case. From half a minute after the first failure every case passes: then the counterexample is small enough. */
  async function holds(requests: readonly FuzzRequest[], door: Door): Promise<void> {
    if (performance.now() > shrinkUntil) return;
    try {
      await check(requests, door);
    } catch (error) {
      shrinkUntil = Math.min(shrinkUntil, performance.now() + shrinkMs);
      throw error;
    }
  }

  async function check(requests: readonly FuzzRequest[], door: Door): Promise<void> {
    totals.cases += 1;
    await send(requests, door);
    let { stallMs } = await service.measure("time");
    let limitMs = maxStallMs;
    // Only an input that blocks each time is at fault: code is compiled, garbage is collected, others use the machine.
    for (let again = 0; again < 6 && stallMs > limitMs; again += 1) {
      await send(requests, door);
      stallMs = Math.min(stallMs, (await service.measure("time")).stallMs);
      const { fixedWorkMs } = await service.measure("calibrate");
      limitMs = Math.max(limitMs, (maxStallMs * fixedWorkMs) / usualWorkMs);
    }
    if (stallMs > limitMs) {
      throw new Error(`the event loop stood still for ${stallMs.toFixed(0)} ms; ${limitMs.toFixed(0)} were allowed`);
    }
    totals.stallMs = Math.max(totals.stallMs, stallMs);
  }

  async function batch(door: Door, batchSeed: number): Promise<string | undefined> {
    const before = totals.bytes;
    const casesBefore = totals.cases;
    // A failure of an earlier batch that was not confirmed says nothing about this one.
    shrinkUntil = Number.POSITIVE_INFINITY;
    await service.measure("time");
    const details = await fc.check(
      fc.asyncProperty(door.requests, (requests) => holds(requests, door)),
      {
        seed: batchSeed,
        numRuns: casesPerBatch,
        ...(path === undefined ? { interruptAfterTimeLimit: batchMs } : { path, endOnFailure: true }),
      },
    );
    const repeat = `npm run fuzz -- --door ${door.name} --seed ${batchSeed}`;
    if (details.failed) {
      return `${door.name}: repeat it with ${repeat} --path ${details.counterexamplePath}\n${String(details.errorInstance)}\n${shortened(fc.defaultReportMessage(details) ?? "")}\n${service.alive ? "" : service.log()}`;
    }
    if (totals.cases === casesBefore) return `${door.name}: no case was sent: ${repeat}`;
    const { liveBytes } = await service.measure("memory");
    const grown = live === 0 ? 0 : liveBytes - live;
    live = liveBytes;
    first ||= live;
    const allowed = 2 * (totals.bytes - before) + slackBytes;
    if (grown > allowed) return `${door.name}: ${grown} bytes more are in use, allowed were ${allowed}: ${repeat}`;
    const { body } = await rpc(service.url, "ToolExecutor/ExecuteTool", { call: { name: "echo" } }, key);
    if (body["result"]?.["outcome"] !== "OUTCOME_OK")
      return `${door.name}: an ordinary call got ${JSON.stringify(body)}: ${repeat}`;
    return undefined;
  }

  let failure: string | undefined;
  for (let round = 0; failure === undefined && (round === 0 || performance.now() < end); round += 1) {
    for (const door of chosen) {
      failure = await batch(door, seed + round).catch(
        (error: unknown) => `${door.name}: ${String(error)}\n${service.log()}`,
      );
      log(`fuzz: ${door.name}, ${totals.cases} cases so far`);
      if (failure !== undefined && !once && service.alive) {
        log(`fuzz: ${failure.split("\n", 2).join(" ")}: is tried again`);
        ({ failure } = await fuzz({
          seconds,
          seed: seed + round,
          door: door.name,
          once: true,
          maxStallMs,
          log: () => {},
        }));
      }
      if (failure !== undefined || (round > 0 && performance.now() > end)) break;
    }
    if (once) break;
  }
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const summary =
    `fuzz: ${totals.cases} cases, ${megabytes(totals.bytes)} MB sent; longest standstill ${totals.stallMs.toFixed(0)} ms; ` +
    `${megabytes(live - first)} MB more in use than after the first batch`;
  return { failure, cases: totals.cases, summary };
}

/** Returns the request with an id of its own, of the same length, and the URL of the target. */
function salted(request: FuzzRequest, sent: number, targetUrl: string): FuzzRequest {
  const fill = (text: string): string =>
    text.replaceAll(salt, String(sent).padStart(salt.length, "0")).replaceAll("TARGET", targetUrl);
  return {
    ...request,
    path: fill(request.path),
    headers: request.headers.map(([name, value]) => [name, fill(value)] as const),
    body: fill(request.body),
  };
}

/** Waits until a job has ended, because it takes its time then. */
async function jobEnded(service: FuzzedService, id: string): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const { body } = await rpc(service.url, "Jobs/GetJob", { id }, key);
    if (!/ACCEPTED|EXECUTING|DELIVERING/.test(JSON.stringify(body["job"]?.["state"] ?? ""))) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`job ${id} does not end`);
}

/** Shortens a report, whose counterexample may have megabytes. */
function shortened(text: string): string {
  return text.length < 8000 ? text : `${text.slice(0, 6000)} … ${text.length - 8000} characters … ${text.slice(-2000)}`;
}
