import { expect, test } from "vitest";
import { modelAnswerFrom } from "../../src/conversations/model-answer.ts";

test.each<[string, string, string]>([
  [
    "an object",
    '{"amount":0.12345678901234567890,"n":9007199254740993}',
    '{"amount":0.12345678901234567890,"n":9007199254740993}',
  ],
  ["JSON text", '"{\\"n\\":1e400}"', '{"n":1e400}'],
  ["nothing", "null", ""],
  ["a number", "5", "5"],
])("arguments that the model gives as %s keep their digits, and travel as text", (_form, given, text) => {
  const call = `{"id":"a","function":{"name":"pay","arguments":${given}}}`;
  const answer = modelAnswerFrom({ text: () => `{"choices":[{"message":{"content":"hm","tool_calls":[${call}]}}]}` });
  expect(answer.calls[0]?.input).toEqual({ case: "argumentsJson", value: text });
  // The message is sent back to the model as it came.
  if (given.startsWith("{")) expect(JSON.stringify(answer.message)).toContain(given);
});
