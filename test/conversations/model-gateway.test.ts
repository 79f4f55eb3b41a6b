import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";
import { busy, textAnswer, startConversation } from "./stand-in.ts";
import { rpcError } from "./rpc-error.ts";

describe("the gateway", () => {
  testRequirement(["002.9", "fault-002.recursion"], "ends if the model answers 429 three times", async () => {
    await using talk = await startConversation([busy()], {});
    expect(await rpcError(talk.converse())).toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: "Rate limit exceeded after retries",
    });
    expect(talk.requests).toHaveLength(3);
    expect(talk.pauses).toEqual([2000, 2500]);
  });

  testRequirement("002.9", "retries after the requested pause", async () => {
    await using talk = await startConversation([busy("7"), busy("soon"), textAnswer("ok")], {});
    expect((await talk.converse()).text).toBe("ok");
    expect(talk.pauses).toEqual([7000, 2500]);
  });

  test("is not waited for if it requests a pause of hours", async () => {
    await using talk = await startConversation([busy("86400")], {});
    expect(await rpcError(talk.converse())).toMatchObject({ code: Code.ResourceExhausted });
    expect(talk.requests).toHaveLength(1);
    expect(talk.pauses).toEqual([]);
  });

  testRequirement("002.10", "retries once with a new token if the token is refused", async () => {
    await using talk = await startConversation([{ status: 401, body: {} }, textAnswer("ok")], {});
    expect((await talk.converse()).text).toBe("ok");
    expect(talk.tokens.stale).toEqual(["token-1"]);
    expect(talk.requests.map((request) => request.headers.authorization)).toEqual(["Bearer token-1", "Bearer token-2"]);
  });

  test("is not retried forever if it rejects every token", async () => {
    await using talk = await startConversation([{ status: 401, body: { message: "no" } }], {});
    expect(await rpcError(talk.converse())).toMatchObject({
      code: Code.Unavailable,
      rawMessage: 'the LLM gateway answered 401: {"message":"no"}',
    });
    expect(talk.requests).toHaveLength(2);
  });

  testRequirement("002.8", "ends with a message if the model does not answer in time", async () => {
    await using talk = await startConversation(["never"], {}, { timeoutMs: 50 });
    expect(await rpcError(talk.converse())).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "the LLM gateway did not answer within 0.05 s",
    });
  });

  test.each([
    [{ status: 200, body: "<html>" }, "answered something that is not JSON"],
    [{ body: {} }, "gave an answer that has no choices[0].message"],
    [{ body: { choices: [] } }, "gave an answer that has no choices[0].message"],
    [{ body: [] }, "gave an answer that has no choices[0].message"],
    [
      { body: { choices: [{ message: { tool_calls: "x" } }] } },
      "gave an answer that has tool_calls that are not an array",
    ],
    [
      { body: { choices: [{ message: { tool_calls: [{ id: 7 }] } }] } },
      "gave an answer that has a tool call without id or function name",
    ],
    [{ status: 500, body: "oops" }, "answered 500: oops"],
    [{ status: 302, headers: { location: "http://127.0.0.1:1/" }, body: "" }, "answered 302: "],
  ])("ends the conversation with a message if it answers %j", async (reply, words) => {
    await using talk = await startConversation([reply], {});
    expect(await rpcError(talk.converse())).toMatchObject({
      code: Code.Unavailable,
      rawMessage: `the LLM gateway ${words}`,
    });
    expect(talk.requests).toHaveLength(1);
  });
});
