import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Conversations, Effect, Jobs, JobState, Outcome, ToolExecutor } from "../../src/client.ts";
import { jackfield, startConnect } from "./command-line.ts";
import { testRequirement } from "../support/test-requirement.ts";

const orderTool = {
  name: "get_order",
  description: "Look up\nan order.",
  effect: Effect.READ,
  version: "0.1.0",
  inputSchema: { type: "object" },
};

const service = () => {
  const seen: { calls: unknown[]; jobs: [string, string][]; pages: number[] } = { calls: [], jobs: [], pages: [] };
  const server = startConnect((router) => {
    router.service(ToolExecutor, {
      listTools: ({ pageToken }) =>
        pageToken === ""
          ? { tools: [orderTool], nextPageToken: "2" }
          : { tools: [{ name: "set_x", description: "\u001b[2JSet x." }] },
      async *executeTools({ calls, context }) {
        const [call] = calls;
        const { id, name, input } = call!;
        seen.calls.push({ id, name, json: input.value, conversation: context?.conversationId });
        yield { event: { case: "progress", value: { callId: id, message: "asking", fraction: 0.5 } } };
        const result =
          name === "get_order"
            ? { callId: id, name, outcome: Outcome.OK, output: '{"id":"A","note":"\\u001b[2J"}' }
            : {
                callId: id,
                name,
                outcome: Outcome.UNKNOWN_TOOL,
                output: `Unknown tool: ${name}`,
                error: { message: `Unknown tool: ${name}` },
              };
        yield { event: { case: "result", value: result } };
        yield { event: { case: "done", value: { results: [result] } } };
      },
    });
    router.service(Jobs, {
      listJobs({ state, pageSize }) {
        seen.pages.push(pageSize);
        const job = { id: "j-1", source: "genesys", state: JobState.DEAD, error: "403 it was", calls: [{ id: "1" }] };
        return { jobs: state === JobState.DONE ? [] : [{ ...job, createTime: { seconds: 1_700_000_000n } }] };
      },
      getJob: ({ id }) => ({ job: { id, state: JobState.DONE } }),
      retryJob({ id }) {
        seen.jobs.push(["retry", id]);
        throw new ConnectError("only a dead job can be retried; this one is done", Code.FailedPrecondition);
      },
      cancelJob({ id }) {
        seen.jobs.push(["cancel", id]);
        return { job: { id, state: JobState.CANCELLED } };
      },
    });
    router.service(Conversations, {
      async *runConversation({ message, model }) {
        yield { event: { case: "turn", value: { toolCalls: 1 } } };
        yield {
          event: {
            case: "call",
            value: { id: "1", name: "get_order", input: { case: "argumentsJson", value: '{"id":"A"}' } },
          },
        };
        yield { event: { case: "progress", value: { callId: "1", message: "asking", fraction: 0.25 } } };
        yield {
          event: {
            case: "result",
            value: { callId: "1", name: "get_order", outcome: Outcome.TIMED_OUT, output: "Too late." },
          },
        };
        yield { event: { case: "done", value: { text: `${model} heard: ${message}`, rounds: 2 } } };
      },
    });
  });
  return { server, seen };
};

describe("tools", () => {
  test("are listed from all pages, one per line, safe for a terminal", async () => {
    await using server = await service().server;
    const { code, stdout } = await jackfield(["tools", "--url", server.url]);
    expect(code).toBe(0);
    expect(stdout).toBe("get_order  read   Look up an order.\nset_x      write  \\u001b[2JSet x.\n");
    const json = await jackfield(["tools", "--url", server.url, "--json"]);
    expect((JSON.parse(json.stdout) as { name: string }[]).map((tool) => tool.name)).toEqual(["get_order", "set_x"]);
  });

  test("are shown one by one, and an unknown one exits with 1", async () => {
    await using server = await service().server;
    expect((await jackfield(["tools", "get_order", "--url", server.url])).stdout).toContain('"type": "object"');
    expect(await jackfield(["tools", "nobody", "--url", server.url])).toEqual({
      code: 1,
      stdout: "",
      stderr: "There is no tool nobody. `jackfield tools` lists them.\n",
    });
  });
});

describe("call", () => {
  test("prints the text that a model would read, and progress on stderr", async () => {
    const { server: starting, seen } = service();
    await using server = await starting;
    const argv = ["call", "get_order", '{"id":"A"}', "--url", server.url, "--id", "7", "--conversation", "c"];
    expect(await jackfield(argv)).toEqual({
      code: 0,
      stdout: '{"id":"A","note":"\\u001b[2J"}\n',
      stderr: "… 50 % asking\n",
    });
    expect(seen.calls).toEqual([{ id: "7", name: "get_order", json: '{"id":"A"}', conversation: "c" }]);
  });

  test("formats JSON on a terminal", async () => {
    await using server = await service().server;
    const { stdout } = await jackfield(["call", "get_order", "--url", server.url], { terminal: true });
    expect(stdout).toBe('{\n  "id": "A",\n  "note": "\\u001b[2J"\n}\n');
  });

  test("exits with 2 for an outcome other than OK, and stdout contains only machine-readable output", async () => {
    await using server = await service().server;
    expect(await jackfield(["call", "nobody", "--url", server.url])).toEqual({
      code: 2,
      stdout: "",
      stderr: "… 50 % asking\nUNKNOWN_TOOL: Unknown tool: nobody\n",
    });
    const json = await jackfield(["call", "nobody", "--url", server.url, "--json"]);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      outcome: "OUTCOME_UNKNOWN_TOOL",
      error: { message: "Unknown tool: nobody" },
    });
  });

  test("without an id is a new call each time", async () => {
    const { server: starting, seen } = service();
    await using server = await starting;
    for (let time = 0; time < 2; time += 1) await jackfield(["call", "get_order", "--url", server.url]);
    const [first, second] = seen.calls as { id: string; json: string }[];
    expect(first!.id).not.toBe(second!.id);
    expect(first!.json).toBe("{}");
  });
});

testRequirement("002.8", "converse prints the answer on stdout and progress on stderr", async () => {
  await using server = await service().server;
  expect(await jackfield(["converse", "Hi", "--url", server.url])).toEqual({
    code: 0,
    stdout: "gpt-4o heard: Hi\n",
    stderr: '→ get_order {"id":"A"}\n  … 25 % asking\n← get_order TIMED_OUT: Too late.\n',
  });
  const json = await jackfield(["converse", "Hi", "--model", "m", "--url", server.url, "--json"]);
  const lines = json.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(lines.map((line) => Object.keys(line)[0])).toEqual(["turn", "call", "progress", "result", "done"]);
  expect(lines.at(-1)).toEqual({ done: { text: "m heard: Hi", rounds: 2 } });
});

describe("jobs", () => {
  test("are listed without further options, by state, and up to a limit", async () => {
    const { server: starting, seen } = service();
    await using server = await starting;
    expect(await jackfield(["jobs", "--url", server.url])).toEqual({
      code: 0,
      stdout: "j-1  dead  2023-11-14T22:13:20.000Z  genesys  1 call  403 it was\n",
      stderr: "",
    });
    const done = await jackfield(["jobs", "list", "--state", "done", "--limit", "5", "--url", server.url]);
    expect(done).toEqual({ code: 0, stdout: "", stderr: "No jobs.\n" });
    expect(seen.pages).toEqual([100, 5]);
    const json = await jackfield(["jobs", "list", "--json", "--url", server.url]);
    expect(JSON.parse(json.stdout)).toMatchObject([{ id: "j-1", state: "JOB_STATE_DEAD" }]);
  });

  test("are shown, retried and cancelled by id", async () => {
    const { server: starting, seen } = service();
    await using server = await starting;
    expect(JSON.parse((await jackfield(["jobs", "get", "x", "--url", server.url])).stdout)).toEqual({
      id: "x",
      state: "JOB_STATE_DONE",
    });
    expect(await jackfield(["jobs", "cancel", "x", "--json", "--url", server.url])).toMatchObject({
      code: 0,
      stdout: '{"id":"x","state":"JOB_STATE_CANCELLED"}\n',
    });
    expect(await jackfield(["jobs", "retry", "x", "--url", server.url])).toEqual({
      code: 1,
      stdout: "",
      stderr: "Only a dead job can be retried; this one is done.\n",
    });
    expect(seen.jobs).toEqual([
      ["cancel", "x"],
      ["retry", "x"],
    ]);
  });
});
