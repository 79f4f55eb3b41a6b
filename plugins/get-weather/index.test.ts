import { startSandbox, startTool } from "jackfield/testing";
import { expect, test } from "vitest";
import { conditionFromCode } from "./condition.ts";
import getWeather from "./index.ts";

async function start() {
  const sandbox = await startSandbox({ parts: { weather: true } });
  const tool = await startTool(getWeather, {
    config: { baseUrl: sandbox.weatherUrl ?? "", geocodingBaseUrl: sandbox.geocodingUrl ?? "" },
  });
  return {
    call: tool.call,
    async [Symbol.asyncDispose]() {
      await tool[Symbol.asyncDispose]();
      await sandbox.close();
    },
  };
}

test("returns the weather in celsius if no unit is given", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "London" });
  expect(result.outcome).toBe("OK");
  expect(result.output).toBe('{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}');
});

test("returns the weather in fahrenheit on request", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "London", unit: "fahrenheit" });
  expect(result.output).toBe('{"location":"London","temperature":71.6,"unit":"fahrenheit","condition":"clear"}');
});

test("finds a name with umlauts", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "München" });
  expect(result.outcome).toBe("OK");
  expect(result.value).toMatchObject({ location: "München", unit: "celsius" });
});

test("reports a place that does not exist", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "Atlantis" });
  expect(result.outcome).toBe("FAILED");
  expect(result.output).toBe("No place named Atlantis was found.");
});

test("refuses an unknown unit and an extra property", async () => {
  await using tool = await start();
  expect((await tool.call({ location: "London", unit: "kelvin" })).outcome).toBe("INVALID_ARGUMENTS");
  expect((await tool.call({ location: "London", day: "today" })).outcome).toBe("INVALID_ARGUMENTS");
});

test("translates weather codes to words, including unused ones", () => {
  expect([0, 3, 63, 95].map(conditionFromCode)).toEqual(["clear", "overcast", "rain", "thunderstorm"]);
  expect(conditionFromCode(42)).toBe("unknown");
});
