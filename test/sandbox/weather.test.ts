import { expect, test } from "vitest";
import { startSandbox } from "../../src/sandbox/sandbox.ts";

test("a place is found, and its weather is the same each time, in both units", async () => {
  await using sandbox = await startSandbox({ parts: { weather: true } });
  const get = async (path: string) => (await fetch(`${sandbox.weatherUrl}${path}`)).json();
  const places = (await get("/v1/search?name=Gr%C3%BCnstadt&count=1")) as {
    results: { latitude: number; longitude: number; name: string }[];
  };
  expect(places.results).toHaveLength(1);
  const place = places.results[0];
  expect(place?.name).toBe("Grünstadt");
  const at = `/v1/forecast?latitude=${place?.latitude}&longitude=${place?.longitude}&current=temperature_2m,weather_code`;
  const first = (await get(at)) as { current: { temperature_2m: number; weather_code: number } };
  const again = (await get(at)) as { current: { temperature_2m: number } };
  const fahrenheit = (await get(`${at}&temperature_unit=fahrenheit`)) as { current: { temperature_2m: number } };
  expect(again.current.temperature_2m).toBe(first.current.temperature_2m);
  expect(fahrenheit.current.temperature_2m).toBeCloseTo(first.current.temperature_2m * 1.8 + 32, 1);
});

test("an unknown place has no results, and a wrong coordinate is refused", async () => {
  await using sandbox = await startSandbox({ parts: { weather: true } });
  for (const name of ["Atlantis", "x", "12345"]) {
    const places = await (await fetch(`${sandbox.geocodingUrl}/v1/search?name=${name}`)).json();
    expect(places).not.toHaveProperty("results");
  }
  expect((await fetch(`${sandbox.weatherUrl}/v1/forecast?latitude=91&longitude=0`)).status).toBe(400);
  expect((await fetch(`${sandbox.weatherUrl}/v1/forecast?latitude=1`)).status).toBe(400);
});
