import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { post, rpc, readAnswer, until } from "../support/http-client.ts";
import { startOtlp } from "../support/otlp.ts";
import { type Answer, startReceiver } from "../support/receiver.ts";
import { startService, testTool, type ServiceUnderTest } from "../support/service.ts";

const tokens = {
  access_token: "acc-3f/9c?0b77",
  refresh_token: 'ref-11d0aa"42',
  id_token: "idt-77c1ee90",
  client_secret: "new-5b5b5b5b",
};

/** Returns everything that could contain a token, when the service has written it. */
async function everything(service: ServiceUnderTest, ...more: string[]): Promise<string> {
  const jobs = await rpc(service.url, "Jobs/ListJobs", {});
  return [
    service.logs(),
    readFileSync(join(service.dataDir, "audit.jsonl"), "utf8"),
    JSON.stringify(jobs.body),
    await service.telemetry.prometheus(),
    ...more,
  ].join("\n");
}

function expectNoToken(text: string): void {
  for (const token of Object.values(tokens)) {
    for (const form of [token, JSON.stringify(token).slice(1, -1), encodeURIComponent(token)]) {
      expect(text).not.toContain(form);
    }
  }
}

const batch = { run_id: "run-tokens", tool_calls: [{ id: "a", function: { name: "echo", arguments: "{}" } }] };
const deadJob = (service: ServiceUnderTest) =>
  until(async () => {
    const { body } = await rpc(service.url, "Jobs/ListJobs", { state: "JOB_STATE_DEAD" });
    return (body as { jobs?: { error: string }[] }).jobs?.[0];
  }, 20_000);

describe("a 200 of a token endpoint", () => {
  test("is repeated nowhere, even if the platform and a downstream quote all of it", async () => {
    await using otlp = await startOtlp();
    const said = `refused: ${Object.values(tokens).join(" and ")}`;
    await using platform = await startReceiver(({ path }): Answer =>
      path === "/oauth/token" ? { body: { ...tokens, expires_in: 3600 } } : { status: 403, body: said },
    );
    let seen = "";
    {
      await using service = await startService({
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url,
          GENESYS_API_BASE_URL: platform.url,
          GENESYS_CLIENT_ID: "i",
          GENESYS_CLIENT_SECRET: "geheim-geheim",
          LOG_LEVEL: "trace",
        },
        yaml: {
          credentials: {
            idp: { oauth: { tokenUrl: `${platform.url}/oauth/token`, clientId: "c", clientSecret: "geheim-idp" } },
          },
        },
        plugins: [
          { use: testTool("echo") },
          { use: "@jackfield/get-order-status", config: { baseUrl: platform.url, credentials: "idp" } },
        ],
      });
      await readAnswer(post(`${service.url}/webhook/tool-calls`, batch));
      const { error } = await deadJob(service);
      expect(error).toMatch(/^Authentication\/Authorization failed: 403\. refused: \[\w+\] and \[\w+\]/);
      const answer = await rpc(service.url, "ToolExecutor/ExecuteTool", {
        call: { id: "b", name: "get_order_status", arguments: { order_id: "O-1" } },
      });
      expect(JSON.stringify(answer.body)).toContain("External API returned 403: refused:");
      seen = await everything(service, JSON.stringify(answer.body), error);
    }
    expectNoToken(seen + otlp.everything());
  }, 60_000);

  test.each<[what: string, body: unknown, type: string]>([
    [
      "JSON without an access token",
      { ...tokens, access_token: undefined, old_access_token: tokens.access_token },
      "application/json",
    ],
    [
      "JSON that is cut",
      `{"refresh_token":${JSON.stringify(tokens.refresh_token)},"access_token":"${tokens.access_token}`,
      "application/json",
    ],
    ["a form", new URLSearchParams(tokens).toString(), "application/x-www-form-urlencoded"],
  ])(
    "in another format is not quoted either: %s",
    async (_what, body, type) => {
      await using platform = await startReceiver(({ path }): Answer =>
        path === "/oauth/token" ? { headers: { "content-type": type }, body } : { status: 204, body: "" },
      );
      await using service = await startService({
        env: {
          GENESYS_API_BASE_URL: platform.url,
          GENESYS_CLIENT_ID: "i",
          GENESYS_CLIENT_SECRET: "geheim-geheim",
          LOG_LEVEL: "trace",
        },
        yaml: { delivery: { retryForMs: 0 } },
        plugins: [{ use: testTool("echo") }],
      });
      await readAnswer(post(`${service.url}/webhook/tool-calls`, batch));
      const { error } = await deadJob(service);
      expect(error).toBe("Token retrieval failed: the answer contains no token");
      expectNoToken(await everything(service, error));
    },
    60_000,
  );
});
