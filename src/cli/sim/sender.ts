import { setTimeout as wait } from "node:timers/promises";
import type { EntryPoint, Shot } from "./traffic.ts";

/** The answer to one request. */
export interface ShotAnswer {
  readonly shot: Shot;
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  readonly body: string;
  /** The header `Jackfield-Job-Id`; empty if there is none. */
  readonly jobId: string;
  /** Milliseconds from the request to the end of its response. */
  readonly ms: number;
}

/** Options of the sender. */
export interface SenderOptions {
  readonly baseUrl: string;
  /** Authentication headers, by entry point. */
  readonly headers: Readonly<Record<EntryPoint, Readonly<Record<string, string>>>>;
  /** Maximum number of concurrent requests. */
  readonly concurrency: number;
  /** Requests per second; 0 sends each as soon as an earlier one is answered. */
  readonly rate: number;
  /** Maximum number of attempts for a request that got 503, 500 or no answer, as platforms retry it. */
  readonly tries: number;
  readonly onAnswer: (answered: ShotAnswer) => void;
}

/** Timeout of one request, in milliseconds. */
const timeoutMs = 70_000;

/** Sends all requests and resolves when all are answered. Never rejects: a request without an answer has status 0. */
export async function sendAll(traffic: Iterator<Shot, void>, options: SenderOptions): Promise<void> {
  const { concurrency, rate, onAnswer, tries } = options;
  const startedAt = performance.now();
  let begun = 0;

  async function worker(): Promise<void> {
    for (let next = traffic.next(); next.done !== true; next = traffic.next()) {
      begun += 1;
      if (rate > 0) await wait(Math.max(0, startedAt + (begun * 1000) / rate - performance.now()));
      for (let attempt = 1; ; attempt += 1) {
        const answered = await send(next.value, options);
        onAnswer(answered);
        if ((answered.status !== 0 && answered.status < 500) || attempt >= tries) break;
        await wait(Math.min(100 * 2 ** attempt, 2000));
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker));
}

async function send(shot: Shot, { baseUrl, headers }: SenderOptions): Promise<ShotAnswer> {
  const startedAt = performance.now();
  const ended = (status: number, body: string, jobId: string): ShotAnswer => ({
    shot,
    status,
    body,
    jobId,
    ms: performance.now() - startedAt,
  });
  try {
    const response = await fetch(new URL(shot.path, baseUrl), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers[shot.entryPoint] },
      body: shot.body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    return ended(response.status, await response.text(), response.headers.get("jackfield-job-id") ?? "");
  } catch (cause) {
    return ended(
      0,
      cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause),
      "",
    );
  }
}
