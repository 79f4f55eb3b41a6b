import { defineTool, ToolError } from "jackfield/plugin";
import { conditionFromCode } from "./condition.ts";

/** Looks up the current weather of a place with Open-Meteo's geocoding and forecast APIs. */
export default defineTool({
  name: "get_weather",
  description: "Retrieve current weather conditions for a specified location.",
  inputSchema: {
    type: "object",
    properties: {
      location: { type: "string", minLength: 1, maxLength: 100, description: "City or region name, such as London." },
      unit: {
        type: "string",
        enum: ["celsius", "fahrenheit"],
        default: "celsius",
        description: "Temperature unit; celsius by default.",
      },
    },
    required: ["location"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: {
      location: { type: "string" },
      temperature: { type: "number" },
      unit: { type: "string", enum: ["celsius", "fahrenheit"] },
      condition: { type: "string" },
    },
    required: ["location", "temperature", "unit", "condition"],
    additionalProperties: false,
  },
  configSchema: {
    type: "object",
    properties: {
      baseUrl: {
        type: "string",
        format: "uri",
        env: "WEATHER_API_BASE_URL",
        sandbox: "weather",
        description: "Host of the forecast API, such as https://api.open-meteo.com.",
      },
      geocodingBaseUrl: {
        type: "string",
        format: "uri",
        env: "GEOCODING_API_BASE_URL",
        sandbox: "weather",
        description: "Host of the geocoding API, such as https://geocoding-api.open-meteo.com.",
      },
    },
    required: ["baseUrl", "geocodingBaseUrl"],
    additionalProperties: false,
  },
  effect: "read",
  timeoutMs: 10_000,

  async execute({ location, unit = "celsius" }, { http, config }) {
    const found = await http(`${config.geocodingBaseUrl.replace(/\/+$/, "")}/v1/search`, {
      query: { name: location, count: 1 },
    });
    const place = placeFrom(found.json(), location);
    const forecast = await http(`${config.baseUrl.replace(/\/+$/, "")}/v1/forecast`, {
      query: { ...place, current: "temperature_2m,weather_code", temperature_unit: unit },
    });
    const { temperature, code } = currentFrom(forecast.json());
    return { location, temperature, unit, condition: conditionFromCode(code) };
  },
});

function placeFrom(body: unknown, location: string): { latitude: number; longitude: number } {
  const { results = [] } = recordFrom(body);
  if (!Array.isArray(results)) {
    throw new ToolError("The geocoding service gave an answer that is not a list of places.");
  }
  if (results.length === 0) {
    throw new ToolError(`No place named ${location} was found.`);
  }
  const { latitude, longitude } = recordFrom(results[0]);
  if (!isNumber(latitude) || !isNumber(longitude)) {
    throw new ToolError("The geocoding service gave a place without latitude and longitude.");
  }
  return { latitude, longitude };
}

function currentFrom(body: unknown): { temperature: number; code: number } {
  const { temperature_2m: temperature, weather_code: code } = recordFrom(recordFrom(body)["current"]);
  if (!isNumber(temperature) || !isNumber(code)) {
    throw new ToolError("The weather service gave an answer without temperature and weather code.");
  }
  return { temperature, code };
}

function recordFrom(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** Reports whether a value is a number. One with more digits than a double is a `Number` object (see `json()`). */
function isNumber(value: unknown): value is number {
  return typeof (Object(value) as object).valueOf() === "number";
}
