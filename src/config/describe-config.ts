import type { Config, PluginConfig } from "./config.ts";
import { escapePointer } from "../json/pointer.ts";
import type { Secret } from "../secret.ts";
import { looksSecret } from "./sentences.ts";

const mask = "[secret]";

/** The configuration as plain JSON for people to read. No secret is in it. */
export function describeConfig(config: Config): Record<string, unknown> {
  return {
    ...config,
    engineUrl: config.engineUrl === undefined ? undefined : mask,
    callers: config.callers.map(({ caller, keys }) => ({
      name: caller.name,
      tenant: caller.tenant,
      scopes: [...caller.scopes],
      tools: caller.tools ?? ["*"],
      keys: keys.map(() => mask),
    })),
    adapters: {
      genesys: {
        ...config.adapters.genesys,
        webhookKey: shownSecret(config.adapters.genesys.webhookKey),
        credentials: credentialsOf(config),
      },
      mcp: config.adapters.mcp,
      http: config.adapters.http,
      cognigy: {
        ...config.adapters.cognigy,
        keys: config.adapters.cognigy.keys.map(({ name }) => ({ name, key: mask })),
      },
    },
    plugins: config.plugins.map(describePlugin),
    otel: { ...config.otel, traces: target(config.otel.traces), metrics: target(config.otel.metrics) },
  };
}

/** Every secret text of the configuration, for those who keep secrets out of what they write. */
export function secretTexts(config: Config): string[] {
  const texts = new Set<string>();
  const add = (secret: Secret | undefined): void => void (secret !== undefined && texts.add(secret.reveal()));
  const { genesys, cognigy } = config.adapters;
  add(config.engineUrl);
  add(genesys.webhookKey);
  add(genesys.credentials?.clientSecret);
  for (const { key } of cognigy.keys) add(key);
  for (const { keys } of config.callers) for (const key of keys) add(key);
  for (const otlp of [config.otel.traces, config.otel.metrics])
    for (const header of Object.values(otlp?.headers ?? {})) add(header);
  for (const plugin of config.plugins) {
    visit(plugin.config, plugin, (text, secret, named) => {
      // Not everything that came from a variable is a secret (a URL, a region): hiding such texts would blind the log.
      if (named || (secret && text.length >= 8 && !isPlainUrl(text))) texts.add(text);
      return text;
    });
  }
  return [...texts];
}

function describePlugin(plugin: PluginConfig): Record<string, unknown> {
  const { secretPaths: _, ...rest } = plugin;
  return { ...rest, config: visit(plugin.config, plugin, (text, secret) => (secret ? mask : text)) };
}

/** Copies a plugin's configuration; `change` sees each text, whether not to print it, and whether it surely is a secret. */
function visit(
  root: unknown,
  plugin: PluginConfig,
  change: (text: string, secret: boolean, named: boolean) => string,
): unknown {
  const paths = new Set(plugin.secretPaths);
  const walk = (node: unknown, pointer: string, named: boolean): unknown => {
    if (typeof node === "string") {
      const sure = named || holdsCredentials(node);
      return change(node, sure || paths.has(pointer), sure);
    }
    if (Array.isArray(node)) return node.map((item, index) => walk(item, `${pointer}/${index}`, named));
    if (typeof node !== "object" || node === null) return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, item]) => [
        key,
        walk(item, `${pointer}/${escapePointer(key)}`, named || looksSecret(key)),
      ]),
    );
  };
  return walk(root, "", false);
}

function holdsCredentials(text: string): boolean {
  const url = text.includes("://") ? URL.parse(text) : null;
  return url !== null && (url.password !== "" || url.username !== "");
}

function isPlainUrl(text: string): boolean {
  return URL.canParse(text) && text.includes("://") && !holdsCredentials(text);
}

function shownSecret(secret: Secret | undefined): string | undefined {
  return secret === undefined ? undefined : mask;
}

function credentialsOf(config: Config): unknown {
  const { credentials } = config.adapters.genesys;
  return credentials === undefined ? undefined : { clientId: credentials.clientId, clientSecret: mask };
}

function target(otlp: Config["otel"]["traces"]): unknown {
  return otlp === undefined
    ? undefined
    : { ...otlp, headers: Object.fromEntries(Object.keys(otlp.headers).map((name) => [name, mask])) };
}
