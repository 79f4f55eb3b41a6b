// Adds jobs to Redis for some seconds: `bench/enqueue.ts jackfield|bullmq URL WARM SECONDS`. Prints the jobs per second.
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Queue } from "bullmq";
import { JobSchema, JobState } from "../gen/jackfield/v1/jobs_pb.ts";
import { createRedisJobQueue } from "../src/jobs/drivers/redis.ts";
import type { JobRecord } from "../src/jobs/job-queue.ts";
import { openRedisStore } from "../src/store/redis.ts";

const [queueName, url = "", warm = "1", seconds = "3"] = process.argv.slice(2);
const store = await openRedisStore({ url });
const inFlight = 64;

function recordOf(number: number): JobRecord {
  const now = timestampNow();
  const job = create(JobSchema, {
    id: `job-${number}`,
    source: "genesys",
    calls: [
      {
        id: "call-1",
        name: "read_inventory",
        input: { case: "arguments", value: { sku: "SKU-8842", warehouse: "US-WEST" } },
      },
    ],
    context: { runId: `run-${number}`, source: "genesys" },
    state: JobState.ACCEPTED,
    createTime: now,
    updateTime: now,
  });
  return {
    job,
    tenant: "default",
    caller: "genesys",
    delivery: "genesys",
    deliveryMs: 0,
    failures: 0,
    traceparent: "",
  };
}

/** Returns the same job as the data of a BullMQ job. */
function dataOf({ job, ...rest }: JobRecord): object {
  return { ...rest, job: Buffer.from(toBinary(JobSchema, job)).toString("base64") };
}

function adder(): (number: number) => Promise<unknown> {
  if (queueName === "jackfield") {
    const queue = createRedisJobQueue(store);
    return (number) => queue.enqueue(recordOf(number));
  }
  const queue = new Queue("bare", { connection: store.client, skipVersionCheck: true });
  return (number) => queue.add("job", dataOf(recordOf(number)));
}

const add = adder();
let sent = 0;
let added = 0;
const stopping = new AbortController();
const loops = Array.from({ length: inFlight }, async () => {
  while (!stopping.signal.aborted) {
    await add(sent++);
    added += 1;
  }
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
await pause(Number(warm) * 1000);
const before = added;
const cpu = process.cpuUsage();
const startedAt = performance.now();
await pause(Number(seconds) * 1000);
const taken = (performance.now() - startedAt) / 1000;
const used = process.cpuUsage(cpu);
const count = added - before;
stopping.abort();
await Promise.all(loops);
process.stdout.write(JSON.stringify({ perSecond: count / taken, cpuMicros: (used.user + used.system) / count }));
process.exit(0);
