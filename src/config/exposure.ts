import type { Config } from "./config.ts";
import { isLoopback } from "./values.ts";

interface Way {
  readonly name: string;
  readonly open: boolean;
  readonly allowed: boolean;
  readonly variable: string;
  readonly fileKey: string;
}

/** Finds ways in that anybody may use: a fault where others than this machine can reach them, else a warning. */
export function checkExposure(config: Pick<Config, "host" | "adapters" | "callers" | "rpc">): {
  faults: string[];
  warnings: string[];
} {
  const { genesys, cognigy } = config.adapters;
  const loopback = isLoopback(config.host);
  const ways: Way[] = [
    {
      name: "The Genesys adapter",
      open: genesys.enabled && genesys.webhookKey === undefined,
      allowed: genesys.allowUnauthenticated,
      variable: "GENESYS_WEBHOOK_KEY",
      fileKey: "adapters.genesys.allowUnauthenticated",
    },
    {
      name: "The Cognigy adapter",
      open: cognigy.enabled && cognigy.keys.length === 0,
      allowed: cognigy.allowUnauthenticated,
      variable: "COGNIGY_API_KEY",
      fileKey: "adapters.cognigy.allowUnauthenticated",
    },
    {
      name: "The RPC",
      open: config.callers.length === 0,
      allowed: config.rpc.allowUnauthenticated,
      variable: "JACKFIELD_API_KEYS",
      fileKey: "rpc.allowUnauthenticated",
    },
  ];
  const open = ways.filter((way) => way.open);
  if (loopback) {
    const local = open.filter((way) => way.variable !== "JACKFIELD_API_KEYS");
    return {
      faults: [],
      warnings: local.map(
        (way) => `${way.name} is open to everybody on this machine: set ${way.variable} to close it.`,
      ),
    };
  }
  return {
    faults: open
      .filter((way) => !way.allowed)
      .map(
        (way) =>
          `${way.variable} must be set where HOST is other than loopback; found it not set and HOST ${JSON.stringify(config.host)}` +
          ` (${way.name.replace("The", "the")} would be open; ${way.fileKey}: true in the file allows it).`,
      ),
    warnings: open
      .filter((way) => way.allowed)
      .map((way) => `${way.name} is open to everybody who reaches ${config.host}: ${way.fileKey} is true.`),
  };
}
