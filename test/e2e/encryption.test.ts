import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createJackfieldClient, JobState, Outcome } from "../../src/client.ts";
import { startReceiver } from "../support/receiver.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { holds } from "../support/sealed-stores.ts";
import { startService, testTool } from "../support/service.ts";

const one = { id: "one", secret: randomBytes(32).toString("base64") };
const two = { id: "two", secret: randomBytes(32).toString("hex") };

const needed =
  'stored values are encrypted with the key "one": add it to encryption.keys, or to encryption.lostKeys if it is lost';

interface Readiness {
  readonly ready: boolean;
  readonly faults?: string[];
  readonly notes: string[];
}

/** Starts the service on a data folder with these keys. */
async function serve(dataDir: string, office: string, keys?: readonly object[], lostKeys: readonly string[] = []) {
  const service = await startService({
    dataDir,
    plugins: [{ use: testTool("book"), config: { baseUrl: office } }],
    ...(keys !== undefined && { yaml: { encryption: { keys, lostKeys } } }),
  });
  const client = createJackfieldClient({ baseUrl: service.url });
  const call = (id: string, seat: string) => ({
    id,
    name: "book",
    input: { case: "arguments" as const, value: { seat } },
  });
  return {
    service,
    async book(id: string, seat: string) {
      const { result } = await client.executor.executeTool({ call: call(id, seat), context: { conversationId: "c1" } });
      return result;
    },
    async job(id: string, seat: string) {
      const { job } = await client.jobs.submitJob({ job: { calls: [call(id, seat)], context: { runId: "r1" } } });
      await expect.poll(async () => (await client.jobs.getJob({ id: job?.id ?? "" })).job?.state).toBe(JobState.DONE);
    },
    ready: async () => (await (await fetch(`${service.url}/readyz`)).json()) as Readiness,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

function filesOf(dataDir: string): string {
  const files = readdirSync(dataDir, { withFileTypes: true }).filter((file) => file.isFile());
  return files.map(({ name }) => readFileSync(join(dataDir, name), "latin1")).join("\n");
}

test("with a key nothing in the data folder reveals arguments or answers; without that key no call runs twice", async () => {
  await using office = await startReceiver(() => ({ body: { confirmation: "confirmed-990-771" } }));
  using folder = scratchFolder("jackfield-encryption");
  const dataDir = join(folder.path, "data");
  {
    await using plain = await serve(dataDir, office.url);
    await plain.book("before", "seat-in-the-clear");
    expect(holds(filesOf(dataDir), "seat-in-the-clear")).toBe(true);
  }
  {
    await using sealed = await serve(dataDir, office.url, [one]);
    expect((await sealed.book("before", "seat-in-the-clear"))?.replayed).toBe(true);
    expect((await sealed.book("b1", "seat-of-mrs-smith"))?.outcome).toBe(Outcome.OK);
    await sealed.job("j1", "seat-of-mr-miller");
    expect(await sealed.ready()).toMatchObject({ ready: true });
    const files = filesOf(dataDir);
    expect(["seat-of-mrs-smith", "seat-of-mr-miller"].filter((text) => holds(files, text))).toEqual([]);
    expect(office.received).toHaveLength(3);
  }
  {
    await using without = await serve(dataDir, office.url, [two]);
    // Before any value needs the key.
    expect(without.service.logs()).toContain(JSON.stringify(`encryption: ${needed}`));
    expect(await without.ready()).toMatchObject({ ready: false, faults: [`encryption: ${needed}`] });
    const unknown = await without.book("b1", "seat-of-mrs-smith");
    expect(unknown?.outcome).toBe(Outcome.UNCERTAIN);
    expect(unknown?.output).toBe("It is not known whether this request took effect. Do not repeat it; check first.");
    expect(without.service.logs()).toContain("the stored record of a call cannot be read");
    for (const { secret } of [one, two]) expect(without.service.logs()).not.toContain(secret);
  }
  {
    await using lost = await serve(dataDir, office.url, [two], ["one"]);
    expect(await lost.ready()).toMatchObject({ ready: true });
  }
  await using rotated = await serve(dataDir, office.url, [two, one]);
  expect(await rotated.book("b1", "seat-of-mrs-smith")).toMatchObject({ outcome: Outcome.OK, replayed: true });
  expect((await rotated.book("b1", "another-seat"))?.outcome).toBe(Outcome.CONFLICT);
  expect(office.received).toHaveLength(3);
});
