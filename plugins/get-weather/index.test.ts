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

test("the weather is answered in celsius where no unit is given", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "London" });
  expect(result.outcome).toBe("OK");
  expect(result.output).toBe('{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}');
});

test("the weather is answered in fahrenheit where that is asked for", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "London", unit: "fahrenheit" });
  expect(result.output).toBe('{"location":"London","temperature":71.6,"unit":"fahrenheit","condition":"clear"}');
});

test("a name with umlauts is found", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "München" });
  expect(result.outcome).toBe("OK");
  expect(result.value).toMatchObject({ location: "München", unit: "celsius" });
});

test("a place that does not exist is told in words", async () => {
  await using tool = await start();
  const result = await tool.call({ location: "Atlantis" });
  expect(result.outcome).toBe("FAILED");
  expect(result.output).toBe("No place named Atlantis was found.");
});

test("another unit and an extra property are refused", async () => {
  await using tool = await start();
  expect((await tool.call({ location: "London", unit: "kelvin" })).outcome).toBe("INVALID_ARGUMENTS");
  expect((await tool.call({ location: "London", day: "today" })).outcome).toBe("INVALID_ARGUMENTS");
});

test("weather codes become words, unused ones too", () => {
  expect([0, 3, 63, 95].map(conditionFromCode)).toEqual(["clear", "overcast", "rain", "thunderstorm"]);
  expect(conditionFromCode(42)).toBe("unknown");
});
