import type { Config } from "./config.ts";
import { sandboxSlots } from "./plugins.ts";
import { Secret } from "../secret.ts";

/** Where the sandbox listens, known once it runs; a part that was not started has no URL. */
export interface SandboxUrls {
  readonly backOfficeUrl?: string | undefined;
  readonly weatherUrl?: string | undefined;
  readonly geocodingUrl?: string | undefined;
  readonly genesysUrl?: string | undefined;
}

/** The same configuration with the sandbox filled in wherever nothing real is configured. */
export function withSandbox(config: Config, urls: SandboxUrls): Config {
  const byPart = { backOffice: urls.backOfficeUrl, weather: urls.weatherUrl, geocoding: urls.geocodingUrl };
  const plugins = config.plugins.map((plugin) => {
    const played = sandboxSlots(plugin.use).flatMap(({ key, part }) => {
      const url = byPart[part];
      return plugin.config[key] === undefined && url !== undefined ? [[key, url] as const] : [];
    });
    return played.length === 0 ? plugin : { ...plugin, config: { ...plugin.config, ...Object.fromEntries(played) } };
  });
  const { genesysUrl } = urls;
  if (!config.sandbox.genesys || genesysUrl === undefined) return { ...config, plugins };
  const genesys = {
    ...config.adapters.genesys,
    apiBaseUrl: genesysUrl,
    tokenUrl: `${genesysUrl}/oauth/token`,
    credentials: { clientId: "sandbox", clientSecret: new Secret("sandbox-secret") },
  };
  return { ...config, plugins, adapters: { ...config.adapters, genesys } };
}
