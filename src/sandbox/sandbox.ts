import { createBackOfficeRoutes } from "./back-office.ts";
import { createGenesysRoutes } from "./genesys.ts";
import { type Part, startPart } from "./part.ts";
import { createWeatherRoutes } from "./weather.ts";

/** The sandbox parts to start, and their log. */
export interface SandboxOptions {
  readonly parts:
    | ReadonlySet<string>
    | { readonly backOffice?: boolean; readonly weather?: boolean; readonly genesys?: boolean };
  /** Receives one line per request: method, path, status. Contains no header and no body. */
  readonly log?: (line: string) => void;
  /** The time in Unix milliseconds; the system clock by default. */
  readonly now?: () => number;
}

/** A running sandbox. Each URL is set if its part was started, and has no trailing slash. */
export interface Sandbox {
  readonly backOfficeUrl?: string;
  readonly weatherUrl?: string;
  readonly geocodingUrl?: string;
  readonly genesysUrl?: string;
  /** The same URLs, by name of the part. */
  readonly urls: Readonly<Record<string, string>>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts the requested parts, each a real HTTP server on its own loopback port. Nothing is stored on disk. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { log } = options;
  const wants = (part: "backOffice" | "weather" | "genesys"): boolean =>
    options.parts instanceof Set ? options.parts.has(part) : (options.parts as Record<string, boolean>)[part] === true;
  const now = options.now ?? Date.now;
  const started: Part[] = [];
  const start = async (wanted: boolean, create: () => Parameters<typeof startPart>[0]): Promise<string | undefined> => {
    if (!wanted) {
      return undefined;
    }
    const part = await startPart(create(), now, log);
    started.push(part);
    return part.url;
  };
  const close = async (): Promise<void> => {
    await Promise.all(started.splice(0).map((part) => part.close()));
  };
  try {
    const backOfficeUrl = await start(wants("backOffice"), createBackOfficeRoutes);
    const weatherUrl = await start(wants("weather"), () => createWeatherRoutes(now));
    const genesysUrl = await start(wants("genesys"), () => createGenesysRoutes(now));
    return {
      ...(backOfficeUrl === undefined ? {} : { backOfficeUrl }),
      ...(weatherUrl === undefined ? {} : { weatherUrl, geocodingUrl: weatherUrl }),
      ...(genesysUrl === undefined ? {} : { genesysUrl }),
      urls: {
        ...(backOfficeUrl === undefined ? {} : { backOffice: backOfficeUrl }),
        ...(weatherUrl === undefined ? {} : { weather: weatherUrl }),
        ...(genesysUrl === undefined ? {} : { genesys: genesysUrl }),
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (reason) {
    await close();
    throw reason;
  }
}
