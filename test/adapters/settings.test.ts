import { describe, expect, test } from "vitest";
import { cognigyConfiguration } from "../../src/adapters/cognigy/settings.ts";
import { genesys } from "../../src/adapters/genesys/index.ts";
import { genesysConfiguration, type GenesysSettings, tokenUrlOf } from "../../src/adapters/genesys/settings.ts";
import { createGenesysTokens } from "../../src/adapters/genesys/tokens.ts";
import { httpConfiguration } from "../../src/adapters/http/settings.ts";
import { mcpConfiguration } from "../../src/adapters/mcp/settings.ts";
import type { PlatformParts } from "../../src/adapters/platform.ts";
import type { TokenSource, TokenSourceOptions } from "../../src/outbound/oauth.ts";
import { describeTokenFetch, describeTokenRetrieval } from "../../src/outbound/token-failure.ts";
import { Secret } from "../../src/secret.ts";

const key = new Secret("key");
const signature = { scheme: "hub", secrets: [key], replayWindowS: 300 } as const;

function completed<Own extends object>(
  { complete }: { complete(given: Partial<Own>, report: (problem: string) => void): Own },
  given: Partial<Own> = {},
): { settings: Own; problems: string[] } {
  const problems: string[] = [];
  return { settings: complete(given, (problem) => void problems.push(problem)), problems };
}

describe("the settings of Cognigy", () => {
  test("have defaults, which given values replace", () => {
    expect(completed(cognigyConfiguration).settings).toEqual({
      keys: [],
      signature: undefined,
      maxPending: 10_000,
      corsOrigins: ["https://app.cognigy.ai"],
    });
    const given = { keys: [{ name: "one", key }], signature, maxPending: 1, corsOrigins: [] };
    expect(completed(cognigyConfiguration, given)).toEqual({ settings: given, problems: [] });
  });

  test("report the environment variable to set when neither a key nor a signature is set", () => {
    const missing = (given: object) =>
      cognigyConfiguration.openUnless?.(completed(cognigyConfiguration, given).settings);
    expect(missing({})).toBe("COGNIGY_API_KEY");
    expect(missing({ keys: [{ name: "one", key }] })).toBeUndefined();
    expect(missing({ signature })).toBeUndefined();
  });
});

describe("the settings of plain HTTP", () => {
  test("have defaults, which given values replace, and report the public URL if there is one", () => {
    const { settings } = completed(httpConfiguration);
    expect(settings).toEqual({ publicUrl: "", corsOrigins: [] });
    expect(httpConfiguration.publicUrls?.(settings)).toEqual([]);
    const given = { publicUrl: "https://tools.example.com", corsOrigins: ["https://app.example.com"] };
    expect(completed(httpConfiguration, given).settings).toEqual(given);
    expect(httpConfiguration.publicUrls?.(given)).toEqual(["https://tools.example.com"]);
  });
});

test("the settings of MCP have defaults, which given values replace", () => {
  const defaults = { taskAfterMs: 5000, pageSize: 100, listTtlMs: 60_000, allowedOrigins: [], instructions: "" };
  expect(completed(mcpConfiguration).settings).toEqual(defaults);
  const given = {
    taskAfterMs: 0,
    pageSize: 1,
    listTtlMs: 0,
    allowedOrigins: ["https://a.example"],
    instructions: "Ask.",
  };
  expect(completed(mcpConfiguration, given).settings).toEqual(given);
});

describe("the settings of Genesys", () => {
  const client = { clientId: "me", clientSecret: key };

  test("have defaults, which given values replace", () => {
    expect(completed(genesysConfiguration)).toEqual({
      settings: {
        webhookKey: undefined,
        signature: undefined,
        apiBaseUrl: "https://api.mypurecloud.com",
        tokenUrl: "https://login.mypurecloud.com/oauth/token",
        clientId: undefined,
        clientSecret: undefined,
        scopes: undefined,
      },
      problems: [],
    });
    const given = {
      webhookKey: key,
      signature,
      apiBaseUrl: "https://api.example.com",
      tokenUrl: "https://tokens.example.com",
      ...client,
      scopes: "  one \t two\nthree ",
    };
    expect(completed(genesysConfiguration, given)).toEqual({
      settings: { ...given, scopes: "one two three" },
      problems: [],
    });
  });

  test("derive the token endpoint from the API's region, and from the host itself otherwise", () => {
    expect(tokenUrlOf("https://api.mypurecloud.ie")).toBe("https://login.mypurecloud.ie/oauth/token");
    expect(tokenUrlOf("http://api.localhost:8080")).toBe("http://login.localhost:8080/oauth/token");
    expect(tokenUrlOf("http://127.0.0.1:8080")).toBe("http://127.0.0.1:8080/oauth/token");
    expect(tokenUrlOf("https://my-api.example.com/v")).toBe("https://my-api.example.com/v/oauth/token");
  });

  test("require client id and secret together, and a valid key or key hash", () => {
    const problems = (given: Partial<GenesysSettings>) => completed(genesysConfiguration, given).problems;
    expect(problems({ clientSecret: key })).toEqual([
      "GENESYS_CLIENT_ID must be set together with GENESYS_CLIENT_SECRET; found it not set.",
    ]);
    expect(problems({ clientId: "me" })).toEqual([
      "GENESYS_CLIENT_SECRET must be set together with GENESYS_CLIENT_ID; found it not set.",
    ]);
    expect(problems({ webhookKey: new Secret("sha256:12") })).toEqual([
      "GENESYS_WEBHOOK_KEY must give a key itself, or as sha256: and 64 hex digits; found a malformed hash.",
    ]);
    expect(problems({ webhookKey: new Secret(`sha256:${"0a".repeat(32)}`) })).toEqual([]);
  });

  test("report the environment variable to set when neither a key nor a signature is set", () => {
    const missing = (given: object) =>
      genesysConfiguration.openUnless?.(completed(genesysConfiguration, given).settings);
    expect(missing({})).toBe("GENESYS_WEBHOOK_KEY");
    expect(missing({ webhookKey: key })).toBeUndefined();
    expect(missing({ signature })).toBeUndefined();
  });

  test("let the sandbox replace the endpoints and the client, and nothing else", () => {
    const { settings } = completed(genesysConfiguration, { webhookKey: key, scopes: "one" });
    const played = genesysConfiguration.sandbox?.play(settings, "http://127.0.0.1:1");
    expect(played).toEqual({
      ...settings,
      apiBaseUrl: "http://127.0.0.1:1",
      tokenUrl: "http://127.0.0.1:1/oauth/token",
      clientId: "sandbox",
      clientSecret: expect.any(Secret) as Secret,
    });
    expect(played?.clientSecret?.reveal()).toBe("sandbox-secret");
  });

  describe("tokens", () => {
    function asked(given: Partial<GenesysSettings>) {
      const options: TokenSourceOptions[] = [];
      const { settings } = completed(genesysConfiguration, given);
      const tokens = createGenesysTokens(settings, (one) => ({ nth: options.push(one) }) as unknown as TokenSource);
      return { tokens, options };
    }

    test("require a client", () => {
      for (const given of [{}, { clientId: "me" }, { clientSecret: key }]) {
        expect(asked(given)).toEqual({ tokens: undefined, options: [] });
      }
    });

    test("are requested with the scopes and margin of each use", () => {
      const { tokens, options } = asked(client);
      const tokenUrl = "https://login.mypurecloud.com/oauth/token";
      expect(tokens).toEqual({ runs: { nth: 1 }, conversations: { nth: 2 }, tools: { nth: 3 } });
      expect(options).toEqual([
        {
          tokenUrl,
          ...client,
          scopes: "ai:assistant:run:write",
          refreshBeforeMs: 300_000,
          describe: describeTokenRetrieval,
        },
        {
          tokenUrl,
          ...client,
          scopes: "ai-builder:llm-gateway:write",
          refreshBeforeMs: 60_000,
          describe: describeTokenFetch,
        },
        {
          tokenUrl,
          ...client,
          scopes: "api:access admin:ai:assistant",
          refreshBeforeMs: 60_000,
          describe: describeTokenFetch,
        },
      ]);
      const own = asked({ ...client, scopes: "mine" }).options;
      expect(own.map(({ scopes }) => scopes)).toEqual(["mine", "mine", "mine"]);
    });
  });

  test("there is no delivery without a client, and a note says why", () => {
    const connect = (given: Partial<GenesysSettings>) =>
      genesys.connect(
        {
          ...completed(genesysConfiguration, given).settings,
          ...genesysConfiguration.defaults,
          sanitize: "text",
          allowUnauthenticated: true,
          enabled: true,
        },
        { tokenSource: () => ({}), version: "1", callsPerRequest: 1 } as unknown as PlatformParts,
      );
    expect(connect({})).toEqual({
      adapter: expect.objectContaining({ name: "genesys" }) as object,
      notes: ["genesys: results cannot be delivered: set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET"],
    });
    expect(connect(client)).toMatchObject({
      delivery: expect.any(Function) as object,
      modelGateway: { baseUrl: "https://api.mypurecloud.com", token: {} },
      credentials: { genesys: {} },
    });
    expect(connect(client)).not.toHaveProperty("notes");
  });
});
