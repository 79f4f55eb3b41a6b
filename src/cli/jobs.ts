import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Job, JobSchema, JobState } from "../client.ts";
import { columns, oneLine, printable } from "./printable.ts";
import type { AddCommand, Session } from "./session.ts";

const states = Object.keys(JobState)
  .filter((name) => name !== "UNSPECIFIED")
  .map((name) => name.toLowerCase());

/** `jackfield jobs`: lists and manages durable batches of calls. */
export const addJobs: AddCommand = (program, open) => {
  const jobs = program
    .command("jobs")
    .description("Look at durable batches: list, get, retry and cancel them.")
    .addHelpText(
      "after",
      `
Examples:
  jackfield jobs list --state dead         what was given up
  jackfield jobs get ID                    one job with its results
  jackfield jobs retry ID                  retry a dead job
  jackfield jobs list --json | jq '.[].id'
`,
    );
  jobs
    .command("list", { isDefault: true })
    .description("List jobs, newest first.")
    .addOption(new Option("--state <STATE>", "only jobs in this state").choices(states))
    .option("--limit <N>", "maximum number of jobs", wholeNumber, 100)
    .action(async (flags: { state?: string; limit: number }, command) => {
      const session = open(command);
      list(session, await collect(session, flags));
    });
  one(
    jobs,
    open,
    "get",
    "Show one job with its results.",
    async ({ client }, id) => (await client.jobs.getJob({ id })).job,
  );
  one(jobs, open, "retry", "Retry a dead job.", async ({ client }, id) => (await client.jobs.retryJob({ id })).job);
  one(
    jobs,
    open,
    "cancel",
    "Cancel a job that has not been executed yet.",
    async ({ client }, id) => (await client.jobs.cancelJob({ id })).job,
  );
};

function one(
  jobs: Command,
  open: (command: Command) => Session,
  verb: string,
  description: string,
  request: (session: Session, id: string) => Promise<Job | undefined>,
): void {
  jobs
    .command(verb)
    .description(description)
    .argument("<ID>", "id of the job")
    .action(async (id: string, _flags, command) => {
      const session = open(command);
      const job = await session.request(() => request(session, id));
      if (job === undefined) return;
      if (session.json) session.printJson(JobSchema, job);
      else session.print(JSON.stringify(toJson(JobSchema, job), null, 2));
    });
}

async function collect(session: Session, { state, limit }: { state?: string; limit: number }): Promise<Job[]> {
  const wanted = state === undefined ? JobState.UNSPECIFIED : JobState[state.toUpperCase() as keyof typeof JobState];
  return session.request(async (client) => {
    const found: Job[] = [];
    let pageToken = "";
    do {
      const page = await client.jobs.listJobs({
        state: wanted,
        pageSize: Math.min(limit - found.length, 1000),
        pageToken,
      });
      found.push(...page.jobs);
      pageToken = page.nextPageToken;
    } while (pageToken !== "" && found.length < limit);
    return found;
  });
}

function list(session: Session, jobs: readonly Job[]): void {
  if (session.json) return session.print(JSON.stringify(jobs.map((job) => toJson(JobSchema, job))));
  if (jobs.length === 0) return session.note("No jobs.");
  const rows = jobs.map((job) => [
    printable(job.id),
    stateOf(job),
    job.createTime === undefined ? "" : timestampDate(job.createTime).toISOString(),
    printable(job.source),
    `${job.calls.length} call${job.calls.length === 1 ? "" : "s"}`,
    oneLine(job.error, 80),
  ]);
  session.host.stdout.write(columns(rows));
}

function stateOf({ state }: Job): string {
  return (
    Object.entries(JobState)
      .find(([, number]) => number === state)?.[0]
      .toLowerCase() ?? String(state)
  );
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1 to 999999.");
  return Number(text);
}
