import { createBackOfficeRoutes } from "./back-office.ts";
import { createGenesysRoutes } from "./genesys.ts";
import { type Part, startPart } from "./part.ts";
import { createWeatherRoutes } from "./weather.ts";

/** Which parts of the sandbox to start, and where its lines go. */
export interface SandboxOptions {
  readonly parts:
    | ReadonlySet<string>
    | { readonly backOffice?: boolean; readonly weather?: boolean; readonly genesys?: boolean };
  /** Gets one line per request: method, path, status. No header and no body. */
  readonly log?: (line: string) => void;
  /** The time in epoch milliseconds, by default the machine's. */
  readonly now?: () => number;
}

/** A running sandbox. Each URL is set for a part that was started, without a slash at the end. */
export interface Sandbox {
  readonly backOfficeUrl?: string;
  readonly weatherUrl?: string;
  readonly geocodingUrl?: string;
  readonly genesysUrl?: string;
  /** The same URLs by the name of the part. */
  readonly urls: Readonly<Record<string, string>>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts the parts asked for, each a real HTTP server on a loopback port of its own. Nothing of it is kept on disk. */
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
