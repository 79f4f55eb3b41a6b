import { afterAll, beforeAll, expect, test } from "vitest";
import { post, rpc, readAnswer, until } from "../support/http-client.ts";
import { startReceiver } from "../support/receiver.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { version } from "../../src/version.ts";

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService();
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

const london = '{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}';

/** A call as Genesys sends it. */
function call(id: unknown, name: unknown, args: unknown) {
  return { id, function: { name, arguments: args } };
}

function worker(body: unknown, headers?: Record<string, string>) {
  return readAnswer(post(`${service.url}/webhook/tool-calls`, body, headers));
}

testRequirement(
  ["001.1", "001.3", "001.7", "001.8"],
  "the AI Gateway's batch is accepted, and delivered in one request in the exact format",
  async () => {
    await using platform = await startReceiver(({ path }) =>
      path === "/oauth/token" ? { body: { access_token: "t-1", expires_in: 3600 } } : { status: 204 },
    );
    await using own = await startService({
      env: { GENESYS_API_BASE_URL: platform.url, GENESYS_CLIENT_ID: "id", GENESYS_CLIENT_SECRET: "client-secret" },
      plugins: [{ use: "@jackfield/get-weather" }, { use: testTool("echo") }],
    });
    const body = {
      run_id: "r/1 ü",
      tool_calls: [
        { type: "function", ...call("a", "get_weather", '{"location":"London"}') },
        { type: "function", ...call("b", "nothing", "{}") },
        { type: "function", ...call("c", "get_weather", "{}") },
        { type: "function", ...call("d", "echo", '{"x":1}') },
      ],
    };
    const answer = await readAnswer(post(`${own.url}/webhook/tool-calls`, body));
    expect([answer.status, answer.text]).toEqual([202, '{"status":"accepted"}']);
    const id = answer.headers.get("jackfield-job-id");
    expect(id).toMatch(/./);
    const delivery = await until(() => platform.received.find(({ path }) => path !== "/oauth/token"));
    expect(delivery.method).toBe("POST");
    expect(delivery.path).toBe("/api/v2/ai/assistants/runs/r%2F1%20%C3%BC/tool_calls");
    expect(delivery.headers).toMatchObject({
      authorization: "Bearer t-1",
      "content-type": "application/json",
      accept: "application/json",
      "user-agent": `Jackfield/${version}`,
      "idempotency-key": id,
    });
    expect(JSON.parse(delivery.text)).toEqual({
      tool_calls: [
        { tool_call_id: "a", output: london },
        { tool_call_id: "b", output: '{"error":"Unknown tool: nothing"}' },
        {
          tool_call_id: "c",
          output: `{"error":"Schema validation failed for get_weather: : must have required property 'location'"}`,
        },
        { tool_call_id: "d", output: '{"args":{"x":1},"conversation":null,"session":null,"source":"genesys"}' },
      ],
    });
    const token = platform.received.find(({ path }) => path === "/oauth/token");
    expect(token?.headers["content-type"]).toMatch(/^application\/x-www-form-urlencoded/);
    const form = new URLSearchParams(token?.text);
    expect(form.get("grant_type")).toBe("client_credentials");
    expect(form.get("scope")).toBe("ai:assistant:run:write");
    expect(platform.received.every(({ path }) => !path.includes("client-secret"))).toBe(true);

    const again = await readAnswer(post(`${own.url}/webhook/tool-calls`, body));
    expect([again.status, again.headers.get("jackfield-job-id")]).toEqual([202, id]);
    await until(async () => (await rpc(own.url, "Jobs/GetJob", { id })).body["job"]?.["state"] === "JOB_STATE_DONE");
    expect(platform.received.filter(({ path }) => path !== "/oauth/token")).toHaveLength(1);
  },
);

testRequirement("001.2", "the AI Gateway's malformed envelopes get these exact answers", async () => {
  const good = call("a", "get_weather", "{}");
  const bodies = [
    [],
    "null",
    {},
    { run_id: "r" },
    { tool_calls: [good] },
    { run_id: "", tool_calls: [good] },
    { run_id: 1, tool_calls: [good] },
    { run_id: "r", tool_calls: [] },
    { run_id: "r", tool_calls: {} },
    { run_id: "r", tool_calls: [{}] },
    { run_id: "r", tool_calls: [good, { id: "b" }] },
  ];
  for (const body of bodies) {
    const { status, text } = await worker(body);
    expect([JSON.stringify(body), status, text]).toEqual([
      JSON.stringify(body),
      400,
      '{"error":"Invalid payload structure. Expected run_id and tool_calls array."}',
    ]);
  }
});

test("without credentials and without the sandbox the AI Gateway is refused before any 202", async () => {
  await using own = await startService({ yaml: { sandbox: false }, plugins: [{ use: testTool("echo") }] });
  const answer = await readAnswer(
    post(`${own.url}/webhook/tool-calls`, { run_id: "r", tool_calls: [call("a", "echo", "{}")] }),
  );
  expect(answer.status).toBe(503);
  expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(["error"]);
  const jobs = await rpc(own.url, "Jobs/ListJobs", {});
  expect(jobs.body).toEqual({});
});
