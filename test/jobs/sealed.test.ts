import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolCallSchema, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { JobQueue, JobRecord } from "../../src/jobs/job-queue.ts";
import { createSealer, plainSealer, type Sealer } from "../../src/store/sealer.ts";
import { holds, type SealedStage, sealedStages } from "../support/sealed-stores.ts";
import { aRecord } from "./samples.ts";

const [one, two] = [
  { id: "one", secret: randomBytes(32) },
  { id: "two", secret: randomBytes(32) },
];
const argument = "card-4111-1111-1111-1111";
const answer = "balance-is-1234567";

/** A job with the argument above, unless another is given. */
function aSecretRecord(id: string, card = argument): JobRecord {
  const record = aRecord({ id, delivery: "" });
  const input = { case: "argumentsJson" as const, value: JSON.stringify({ card }) };
  record.job.calls = [create(ToolCallSchema, { id: "c1", name: "pay", input })];
  return record;
}

function argumentsOf(record: JobRecord | undefined): unknown {
  const input = record?.job.calls[0]?.input;
  return input?.case === "argumentsJson" ? input.value : undefined;
}

for (const [name, { missing, open }] of Object.entries(sealedStages)) {
  describe.skipIf(missing !== undefined)(`jobs that are encrypted in ${name}`, () => {
    let stage: SealedStage;
    beforeAll(async () => (stage = await open()));
    afterAll(() => stage.close());

    const lines: string[] = [];
    const log = {
      warn: () => {},
      error: (fields: object, message: string): void => void lines.push(JSON.stringify({ ...fields, message })),
    };
    /** A queue of the stage, closed when its test ends. */
    function queueWith(sealer: Sealer): JobQueue {
      const queue = stage.queue({ sealer, log });
      onTestFinished(() => queue.close());
      return queue;
    }
    /** Ends every job, with the answer above unless another is given. */
    async function runDry(queue: JobQueue, output = answer): Promise<void> {
      const working = queue.work(
        async (record) => {
          const results = [create(ToolResultSchema, { callId: "c1", name: "pay", output })];
          return { kind: "ended", record: { ...record, job: { ...record.job, results, state: JobState.DONE } } };
        },
        { concurrency: 4 },
      );
      await expect.poll(async () => (await queue.status()).open, { timeout: 8_000 }).toBe(0);
      await working.stop();
    }

    test("arguments and answers are stored in unreadable form, and are read unchanged", async () => {
      const plain = queueWith(plainSealer);
      await plain.enqueue(aSecretRecord(`${name}-plain`, "a-plain-argument"));
      await runDry(plain, "a-plain-answer");
      const before = await stage.dump();
      expect([holds(before, "a-plain-argument"), holds(before, "a-plain-answer")]).toEqual([true, true]);

      const sealed = queueWith(createSealer([one]));
      const given = aSecretRecord(`${name}-sealed`);
      await sealed.enqueue(given);
      await runDry(sealed);
      const found = await sealed.get(given.job.id);
      expect(argumentsOf(found)).toBe(argumentsOf(given));
      expect(found?.job.results[0]?.output).toBe(answer);
      const after = await stage.dump();
      expect([holds(after, argument), holds(after, answer), holds(after, "sealed.1.one.")]).toEqual([
        false,
        false,
        true,
      ]);
      const retry = await sealed.enqueue(aSecretRecord(given.job.id));
      expect([retry.existed, argumentsOf(retry.record)]).toEqual([true, argumentsOf(given)]);
    });

    test("earlier jobs, in plain form or under the previous key, are read and processed during a key change", async () => {
      const [a, b] = [aSecretRecord(`${name}-a`), aSecretRecord(`${name}-b`)];
      await queueWith(plainSealer).enqueue(a);
      await queueWith(createSealer([one])).enqueue(b);
      const rotated = queueWith(createSealer([two, one]));
      const { records } = await rotated.list({ tenant: "default", state: JobState.ACCEPTED, size: 10, after: "" });
      expect(records.map(argumentsOf)).toEqual([argumentsOf(b), argumentsOf(a)]);
      await runDry(rotated);
      // The worker's writes are under the new key alone.
      const after = queueWith(createSealer([two]));
      for (const { job } of [a, b]) expect((await after.get(job.id))?.job.results[0]?.output).toBe(answer);
    });

    test("a job whose key is missing becomes dead with a log line, and is executed with the key on retry", async () => {
      const given = aSecretRecord(`${name}-missing`);
      await queueWith(createSealer([one])).enqueue(given);
      const sealer = createSealer([two]);
      const without = queueWith(sealer);
      lines.length = 0;
      await runDry(without);
      const dead = await without.get(given.job.id);
      expect([dead?.job.state, dead?.job.calls, dead?.job.results]).toEqual([JobState.DEAD, [], []]);
      expect(dead?.job.error).toContain('it is encrypted with the key "one", which encryption.keys does not contain');
      expect(lines).toEqual([expect.stringContaining("a job became a dead letter")]);
      expect(sealer.notes()).toEqual([
        'encryption: stored values are encrypted with the key "one": add it to encryption.keys, or to encryption.lostKeys if it is lost',
      ]);
      const again = queueWith(createSealer([two, one]));
      expect(argumentsOf((await again.retry(given.job.id)) || undefined)).toBe(argumentsOf(given));
      await runDry(again);
      expect((await again.get(given.job.id))?.job.results[0]?.output).toBe(answer);
    });

    test("jobs whose rows were swapped, or whose key has another secret, are dead: nothing is executed", async () => {
      const sealer = createSealer([one]);
      const queue = queueWith(sealer);
      const [a, b, c] = ["x", "y", "z"].map((id) => aSecretRecord(`${name}-${id}`));
      for (const record of [a, b]) await queue.enqueue(record!);
      await stage.swapJobs(a!.job.id, b!.job.id);
      await queueWith(createSealer([{ id: "one", secret: two.secret }])).enqueue(c!);
      await runDry(queue);
      for (const record of [a, b, c]) {
        const found = await queue.get(record!.job.id);
        expect([found?.job.state, found?.job.results]).toEqual([JobState.DEAD, []]);
        expect(found?.job.error).toContain('does not open with the key "one"');
      }
    });
  });
}
