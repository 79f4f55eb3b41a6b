import type { Config, PluginConfig } from "./config.ts";
import { escapePointer } from "../json/pointer.ts";
import { Secret } from "../secret.ts";
import { looksSecret } from "./sentences.ts";

const mask = "[secret]";

/** Returns the configuration as plain JSON for display, without secrets. */
export function describeConfig(config: Config): Record<string, unknown> {
  const { environment: _, ...rest } = config;
  const adapters = Object.entries(config.adapters).map(([name, { settings }]) => [name, settings]);
  const shown = { ...rest, plugins: config.plugins.map(describePlugin), adapters: Object.fromEntries(adapters) };
  return mapSecrets(shown, () => mask) as Record<string, unknown>;
}

/** Returns every secret text of the configuration, for redaction in logs, spans and audit lines. */
export function secretTexts(config: Config): string[] {
  const texts = new Set<string>();
  const { environment: _, ...rest } = config;
  const adapters = Object.values(config.adapters).map(({ settings }) => settings);
  mapSecrets({ ...rest, adapters }, (secret) => void texts.add(secret.reveal()));
  for (const plugin of config.plugins) {
    visit(plugin.config, plugin, (text, secret, named) => {
      // Not every value from a variable is secret (a URL, a region), and redacting such texts would make the log
      // useless.
      if (named || (secret && text.length >= 8 && !isPlainUrl(text))) texts.add(text);
      return text;
    });
  }
  return [...texts];
}

/** Reports whether plain data contains a Secret. */
export function hasSecret(value: unknown): boolean {
  let found = false;
  mapSecrets(value, () => (found = true));
  return found;
}

/** Copies plain data with every Secret replaced. */
function mapSecrets(value: unknown, replace: (secret: Secret) => unknown): unknown {
  if (value instanceof Secret) return replace(value);
  if (value instanceof Set) return [...value].map((item) => mapSecrets(item, replace));
  if (Array.isArray(value)) return value.map((item) => mapSecrets(item, replace));
  if (typeof value !== "object" || value === null) return typeof value === "function" ? undefined : value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapSecrets(item, replace)]));
}

function describePlugin(plugin: PluginConfig): Record<string, unknown> {
  const { secretPaths: _, tool: _tool, ...rest } = plugin;
  return { ...rest, config: visit(plugin.config, plugin, (text, secret) => (secret ? mask : text)) };
}

/** Copies a plugin's settings, calling `change(text, isHidden, isSecret)` for every text. */
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

/** Reports whether a text is a URL that needs no hiding: without credentials, also in its query. */
function isPlainUrl(text: string): boolean {
  return text.includes("://") && URL.parse(text)?.search === "" && !holdsCredentials(text);
}
