/** Descriptions of the WMO weather codes that Open-Meteo uses. */
const conditions: ReadonlyMap<number, string> = new Map([
  [0, "clear"],
  [1, "mainly clear"],
  [2, "partly cloudy"],
  [3, "overcast"],
  [45, "fog"],
  [48, "freezing fog"],
  [51, "light drizzle"],
  [53, "drizzle"],
  [55, "heavy drizzle"],
  [56, "light freezing drizzle"],
  [57, "freezing drizzle"],
  [61, "light rain"],
  [63, "rain"],
  [65, "heavy rain"],
  [66, "light freezing rain"],
  [67, "freezing rain"],
  [71, "light snow"],
  [73, "snow"],
  [75, "heavy snow"],
  [77, "snow grains"],
  [80, "light rain showers"],
  [81, "rain showers"],
  [82, "violent rain showers"],
  [85, "light snow showers"],
  [86, "snow showers"],
  [95, "thunderstorm"],
  [96, "thunderstorm with light hail"],
  [99, "thunderstorm with hail"],
]);

/** Returns the description of a WMO weather code; `unknown` for an unassigned code. */
export function conditionFromCode(code: number): string {
  return conditions.get(code) ?? "unknown";
}
