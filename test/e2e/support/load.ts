import { setTimeout as wait } from "node:timers/promises";
import type { AcknowledgedBatch } from "../../../src/cli/sim/history.ts";
import { createRandom, type Random } from "../../../src/sandbox/random.ts";

/** The answers that the platforms received. */
export interface Load {
  readonly acknowledged: readonly AcknowledgedBatch[];
  /** Final answers of callbacks, by call. */
  readonly callbacks: ReadonlyMap<string, string>;
  /** Differing answers of one callback, described. */
  readonly contradictions: readonly string[];
  /** Callbacks that were answered and are unknown later: the process died before its store accepted the outcome. */
  readonly takenBack: readonly string[];
  /** Requests without an answer or with a 5xx, which were sent again. */
  readonly repeated: number;
  /** Sends no new requests. Resolves when all open ones are answered. */
  finish(): Promise<void>;
}

const tools = ["look", "set", "put", "put_known"] as const;
/** The answer to the model for a write whose outcome is unknown. */
export const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

const notFinal = /Please retry\.|still being processed|is busy\. Try again/;

/**
 * Plays both platforms until `finish` is called: batches of the AI Gateway and callbacks of Cognigy, each repeated until
 * it is answered, as a platform does, and one in ten once more. `target` returns the address for each request.
 */
export function startLoad({ seed, target, lanes }: { seed: string; target: () => string; lanes: number }): Load {
  const acknowledged: AcknowledgedBatch[] = [];
  const callbacks = new Map<string, string>();
  const contradictions: string[] = [];
  const doubted: string[] = [];
  let repeated = 0;
  const finishing = new AbortController();
  let next = 0;

  /** Sends a request until there is an answer that a platform accepts. */
  async function sendUntilAnswered(
    path: string,
    body: string,
  ): Promise<{ status: number; text: string; jobId: string }> {
    for (;;) {
      try {
        const headers = { "content-type": "application/json" };
        const response = await fetch(target() + path, {
          method: "POST",
          headers,
          body,
          signal: AbortSignal.timeout(30_000),
        });
        const text = await response.text();
        if (response.status < 500)
          return { status: response.status, text, jobId: response.headers.get("jackfield-job-id") ?? "" };
      } catch {
        // The service is being killed; the platform sends the request again.
      }
      repeated += 1;
      await wait(40);
    }
  }

  async function sendRun(random: Random): Promise<void> {
    const id = `run-${seed}-${(next += 1)}`;
    const calls = Array.from({ length: random.between(1, 3) }, (_, index) => ({
      id: `${id}/${index}`,
      type: "function",
      function: {
        name: random.pick(tools),
        arguments: JSON.stringify({ id: `${id}/${index}`, delay: random.between(0, 60) }),
      },
    }));
    const body = JSON.stringify({ run_id: id, tool_calls: calls });
    for (let times = random.between(1, 10) === 1 ? 2 : 1; times > 0; times -= 1) {
      const { status, text, jobId } = await sendUntilAnswered("/webhook/tool-calls", body);
      if (status === 202) acknowledged.push({ runId: id, jobId, callIds: calls.map((call) => call.id) });
      else contradictions.push(`${id} was answered ${status} ${text}`);
    }
  }

  async function sendCallback(random: Random): Promise<void> {
    const id = `callback-${seed}-${(next += 1)}`;
    const body = JSON.stringify({
      tool_call_id: id,
      name: random.pick(["put", "set", "put_known"]),
      arguments: { id, delay: random.between(0, 60) },
    });
    for (let times = random.between(1, 5) === 1 ? 2 : 1; times > 0;) {
      const { status, text } = await sendUntilAnswered("/api/v1/llm/tool-callback", body);
      if (status !== 200) {
        contradictions.push(`${id} was answered ${status} ${text}`);
        return;
      }
      const { output } = JSON.parse(text) as { output: string };
      if (notFinal.test(output)) {
        await wait(100);
        continue;
      }
      const before = callbacks.get(id);
      if (before !== undefined && before !== output) {
        const list = output.includes(uncertain) ? doubted : contradictions;
        list.push(`${id} was answered ${before} and then ${output}`);
      }
      callbacks.set(id, output);
      times -= 1;
    }
  }

  async function lane(number: number): Promise<void> {
    const random = createRandom(`${seed} ${number}`);
    while (!finishing.signal.aborted) {
      await (random.between(1, 4) === 1 ? sendCallback(random) : sendRun(random));
      await wait(random.between(0, 20));
    }
  }

  const all = Array.from({ length: lanes }, (_, number) => lane(number));
  return {
    acknowledged,
    callbacks,
    contradictions,
    takenBack: doubted,
    get repeated() {
      return repeated;
    },
    async finish() {
      finishing.abort();
      await Promise.all(all);
    },
  };
}
