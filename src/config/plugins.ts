import { isAbsolute, join, resolve } from "node:path";
import type { PluginConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import type { ConfigFile } from "./file.ts";
import { httpUrl, storeUrl } from "./values.ts";

const backOffice = [
  "@jackfield/get-order-status",
  "@jackfield/update-ticket-priority",
  "@jackfield/fetch-customer-balance",
  "@jackfield/check-inventory",
];
const weather = "@jackfield/get-weather";
const inventory = "@jackfield/search-inventory";

/** The plugins that come with Jackfield, in the order in which they load. */
export const bundledPlugins: readonly string[] = [
  ...backOffice.slice(0, 3),
  weather,
  "@jackfield/check-inventory",
  inventory,
];

/** Which sandbox server plays the value of a plugin's key while nothing real is configured for it. */
export interface SandboxSlot {
  readonly key: string;
  readonly part: "backOffice" | "weather" | "geocoding";
}

/** The keys of a plugin's configuration that the sandbox can play. */
export function sandboxSlots(use: string): readonly SandboxSlot[] {
  if (backOffice.includes(use)) return [{ key: "baseUrl", part: "backOffice" }];
  if (use === weather)
    return [
      { key: "baseUrl", part: "weather" },
      { key: "geocodingBaseUrl", part: "geocoding" },
    ];
  return [];
}

/** The plugins to load, with what the variables say filled into keys that the file does not give. */
export function pluginsFrom(environment: Environment, file: ConfigFile, dataDir: string): PluginConfig[] {
  const derived = derivedValues(environment);
  const listed = file.content.plugins ?? bundledPlugins.filter(isInstalled).map((use) => ({ use }));
  return listed.map((entry: NonNullable<typeof file.content.plugins>[number], index) => {
    const own = entry.config ?? {};
    const config: Record<string, unknown> = { ...own };
    const prefix = `/plugins/${index}/config`;
    const secretPaths = [...file.secretPaths]
      .filter((path) => path.startsWith(`${prefix}/`))
      .map((path) => path.slice(prefix.length));
    for (const { key, value, secret } of derived(entry.use)) {
      if (Object.hasOwn(own, key) || value === undefined) continue;
      config[key] = value;
      if (secret) secretPaths.push(`/${key}`);
    }
    if (entry.use === inventory && config["databaseUrl"] === undefined && config["dataDir"] === undefined) {
      config["dataDir"] = join(dataDir, "inventory");
    }
    const { timeoutMs, concurrency, queue } = entry.limits ?? {};
    return {
      use: entry.use.startsWith(".") && !isAbsolute(entry.use) ? resolve(file.folder, entry.use) : entry.use,
      config,
      secretPaths,
      limits: {
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(concurrency !== undefined && { concurrency }),
        ...(queue !== undefined && { queue }),
      },
      sanitize: entry.sanitize,
      isolation: entry.isolation,
      required: entry.required ?? false,
      repeatWindowMs: entry.repeatWindowMs,
    };
  });
}

/** Reports whether a package can be imported: the bundled plugins are packages of their own, which may be left out. */
function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}

interface Derived {
  readonly key: string;
  readonly value: string | undefined;
  readonly secret: boolean;
}

/** What the variables say for each bundled plugin. Read once, so that a fault is told once. */
function derivedValues(environment: Environment): (use: string) => readonly Derived[] {
  const url = (name: string): string | undefined => {
    const text = environment.get(name);
    return text === undefined ? undefined : httpUrl(environment, { key: name, text });
  };
  const external: Derived[] = [
    { key: "baseUrl", value: url("EXTERNAL_API_BASE_URL"), secret: false },
    { key: "apiKey", value: environment.secret("EXTERNAL_API_KEY"), secret: true },
  ];
  const forecast: Derived[] = [
    { key: "baseUrl", value: url("WEATHER_API_BASE_URL"), secret: false },
    { key: "geocodingBaseUrl", value: url("GEOCODING_API_BASE_URL"), secret: false },
  ];
  const database = environment.secret("DATABASE_URL");
  const databaseUrl = storeUrl(
    environment,
    database === undefined ? undefined : { key: "DATABASE_URL", text: database },
    ["postgres:", "postgresql:"],
  );
  return (use) => {
    if (backOffice.includes(use)) return external;
    if (use === weather) return forecast;
    return use === inventory ? [{ key: "databaseUrl", value: databaseUrl, secret: true }] : [];
  };
}
