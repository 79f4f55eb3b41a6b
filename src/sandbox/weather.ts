import { SandboxHttpError, type Routes, type SandboxRequest } from "./part.ts";
import { createRandom } from "./random.ts";

interface Place {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly country_code: string;
}

const knownPlaces: readonly Place[] = [
  { name: "London", latitude: 51.50853, longitude: -0.12574, country_code: "GB" },
  { name: "Berlin", latitude: 52.52437, longitude: 13.41053, country_code: "DE" },
  { name: "München", latitude: 48.13743, longitude: 11.57549, country_code: "DE" },
  { name: "Paris", latitude: 48.85341, longitude: 2.3488, country_code: "FR" },
  { name: "New York", latitude: 40.71427, longitude: -74.00597, country_code: "US" },
  { name: "San Francisco", latitude: 37.77493, longitude: -122.41942, country_code: "US" },
  { name: "Tokyo", latitude: 35.6895, longitude: 139.69171, country_code: "JP" },
];

const codes = [0, 0, 1, 2, 3, 3, 45, 51, 61, 63, 71, 80, 95] as const;

/**
 * Creates the routes of Open-Meteo's two APIs, geocoding and forecast. Every name of two or more characters with a
 * letter in it is a place, except `Atlantis`, and its weather never changes. London has 22 °C and a clear sky.
 */
export function createWeatherRoutes(now: () => number): Routes {
  return {
    "GET /v1/search": ({ query }) => {
      const name = query.get("name")?.trim();
      if (name === undefined) {
        return { status: 400, body: { error: true, reason: "Parameter name is missing" } };
      }
      const place = placeFrom(name);
      return { body: place === undefined ? { generationtime_ms: 0.4 } : { results: [place], generationtime_ms: 0.4 } };
    },
    "GET /v1/forecast": (request) => {
      const latitude = coordinate(request, "latitude", 90);
      const longitude = coordinate(request, "longitude", 180);
      const fahrenheit = request.query.get("temperature_unit") === "fahrenheit";
      const weather = weatherAt(latitude, longitude);
      const temperature = fahrenheit ? Math.round(weather.celsius * 18 + 320) / 10 : weather.celsius;
      return {
        body: {
          latitude,
          longitude,
          generationtime_ms: 0.02,
          utc_offset_seconds: 0,
          timezone: "GMT",
          timezone_abbreviation: "GMT",
          elevation: 23,
          current_units: {
            time: "iso8601",
            interval: "seconds",
            temperature_2m: fahrenheit ? "°F" : "°C",
            weather_code: "wmo code",
          },
          current: {
            time: new Date(now()).toISOString().slice(0, 16),
            interval: 900,
            temperature_2m: temperature,
            weather_code: weather.code,
          },
        },
      };
    },
  };
}

function placeFrom(name: string): (Place & { id: number }) | undefined {
  const wanted = name.toLowerCase();
  if ([...wanted].length < 2 || !/\p{L}/u.test(wanted) || wanted === "atlantis") {
    return undefined;
  }
  const random = createRandom(`place ${wanted}`);
  const id = random.between(1_000_000, 9_999_999);
  const known = knownPlaces.find((place) => place.name.toLowerCase() === wanted);
  return {
    id,
    ...(known ?? {
      name,
      latitude: random.between(-5_500_000, 6_800_000) / 100_000,
      longitude: random.between(-17_900_000, 17_900_000) / 100_000,
      country_code: random.pick(["DE", "FR", "GB", "US", "ES", "IT", "PL", "BR", "JP"]),
    }),
  };
}

function weatherAt(latitude: number, longitude: number): { celsius: number; code: number } {
  const london = knownPlaces[0];
  if (latitude === london?.latitude && longitude === london.longitude) {
    return { celsius: 22, code: 0 };
  }
  const random = createRandom(`weather ${latitude} ${longitude}`);
  const warmest = 32 - Math.abs(latitude) * 0.45;
  return { celsius: Math.round((warmest - random.between(0, 120) / 10) * 10) / 10, code: random.pick(codes) };
}

function coordinate(request: SandboxRequest, name: string, limit: number): number {
  const given = request.query.get(name);
  const value = Number(given);
  if (given === null || given === "" || !(Math.abs(value) <= limit)) {
    throw new SandboxHttpError(400, `${name} must be a number from -${limit} to ${limit}`);
  }
  return value;
}
