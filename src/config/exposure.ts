import type { Config } from "./config.ts";
import { isLoopback } from "../loopback.ts";

/** A route into the service that needs authentication. */
interface EntryPoint {
  readonly name: string;
  readonly open: boolean;
  readonly allowed: boolean;
  readonly variable: string;
  readonly fileKey: string;
}

/** Finds entry points without authentication: a problem if other machines can reach them, otherwise a warning. */
export function checkExposure(config: Pick<Config, "host" | "adapters" | "callers" | "oauth" | "rpc">): {
  problems: string[];
  warnings: string[];
} {
  const open = entryPoints(config).filter((entry) => entry.open);
  if (isLoopback(config.host)) {
    const local = open.filter(({ variable }) => variable !== "JACKFIELD_API_KEYS");
    return {
      problems: [],
      warnings: local.map(
        ({ name, variable }) => `The ${name} is open to everybody on this machine: set ${variable} to close it.`,
      ),
    };
  }
  const refused = byVariable(open.filter(({ allowed }) => !allowed));
  const allowed = byVariable(open.filter((entry) => entry.allowed));
  return {
    problems: refused.map(
      ({ variable, names, fileKeys }) =>
        `${variable} must be set if HOST is not a loopback address; found it not set and HOST ${JSON.stringify(config.host)}` +
        ` (the ${listed(names)} would be open; ${listed(fileKeys, ", ", " and ")}: true in the file allows it).`,
    ),
    warnings: allowed.map(({ names, fileKeys }) => {
      const verb = names.length === 1 ? "is" : "are";
      return `The ${listed(names)} ${verb} open to everybody who reaches ${config.host}: ${fileKeys[0]} is true.`;
    }),
  };
}

function entryPoints(config: Pick<Config, "adapters" | "callers" | "oauth" | "rpc">): EntryPoint[] {
  const callersVariable = "JACKFIELD_API_KEYS";
  const withoutCallers = config.callers.length === 0 && config.oauth.length === 0;
  const adapters = Object.values(config.adapters).map(({ configuration, settings }): EntryPoint => {
    const { name, title } = configuration;
    // An adapter without its own variables serves the callers of the RPC.
    const own = configuration.openUnless?.(settings);
    const variable = configuration.openUnless === undefined && withoutCallers ? callersVariable : own;
    return {
      name: title,
      open: settings.enabled && variable !== undefined,
      allowed: settings.allowUnauthenticated,
      variable: variable ?? callersVariable,
      fileKey: `adapters.${name}.allowUnauthenticated`,
    };
  });
  const rpc: EntryPoint = {
    name: "RPC",
    open: withoutCallers,
    allowed: config.rpc.allowUnauthenticated,
    variable: callersVariable,
    fileKey: "rpc.allowUnauthenticated",
  };
  // Those with their own keys first, in the order of the documentation.
  const [own, shared] = [
    adapters.filter(({ variable }) => variable !== callersVariable),
    adapters.filter(({ variable }) => variable === callersVariable),
  ];
  return [...own, rpc, ...shared];
}

/** Groups entries that the same variable would protect. */
function byVariable(entries: readonly EntryPoint[]): { variable: string; names: string[]; fileKeys: string[] }[] {
  const groups = Map.groupBy(entries, ({ variable }) => variable);
  return [...groups].map(([variable, group]) => ({
    variable,
    names: group.map(({ name }) => name),
    fileKeys: group.map(({ fileKey }) => fileKey),
  }));
}

function listed(items: readonly string[], between = ", the ", last = " and the "): string {
  return items.length < 2 ? (items[0] ?? "") : `${items.slice(0, -1).join(between)}${last}${items.at(-1)}`;
}
