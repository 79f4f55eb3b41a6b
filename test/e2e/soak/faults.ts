import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Random } from "../../../src/sandbox/random.ts";
import type { SmallDisk } from "../../store/small-disk.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";
import type { Service } from "../support/service.ts";
import type { DownstreamTrouble, SoakDownstream } from "./downstream.ts";
import type { PlatformTrouble, SoakPlatform } from "./platform.ts";

/** The kinds of faults. */
export const faultKinds = ["store", "disk", "downstream", "platform", "pause", "kill"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** A fault that lasts for a while. */
export interface Fault {
  readonly name: string;
  /** Minimum and maximum duration in milliseconds. */
  readonly lasts: readonly [number, number];
  /** Starts it. The returned function ends it. */
  begin(): (() => void | Promise<void>) | Promise<() => void | Promise<void>>;
}

/** The parts that can fail. */
export interface Parts {
  readonly service: Service;
  readonly downstream: SoakDownstream;
  readonly platform: SoakPlatform;
  readonly dataDir: string;
  /** The disk of the data folder; undefined if it has none of its own. */
  readonly disk: SmallDisk | undefined;
  /** In front of the engine; undefined if the store is embedded. */
  readonly engine: TcpProxy | undefined;
}

const some: Fault["lasts"] = [1000, 4000];

/** Draws a fault of a kind. */
export function drawFault(kind: FaultKind, parts: Parts, random: Random): Fault {
  switch (kind) {
    case "store":
      return storeFault(parts, random);
    case "disk":
      return diskFault(parts, random);
    case "downstream":
      return downstreamFault(parts, random);
    case "platform":
      return platformFault(parts, random);
    case "pause":
      return pause(parts);
    case "kill":
      return kill(parts);
  }
}

function storeFault({ engine, dataDir }: Parts, random: Random): Fault {
  if (engine === undefined) return { name: "database locked", lasts: some, begin: () => lock(dataDir) };
  const isCut = random.between(0, 1) === 0;
  return {
    name: isCut ? "engine cut off" : "engine silent",
    lasts: some,
    begin() {
      engine.mode = isCut ? "refuse" : "silent";
      if (isCut) engine.cut();
      else engine.blackhole();
      return () => {
        engine.mode = "pass";
        engine.cut();
      };
    },
  };
}

/** Holds the write lock with another connection, like a backup. */
function lock(dataDir: string): () => void {
  const database = new DatabaseSync(join(dataDir, "jackfield.db"), { timeout: 5000 });
  database.exec("BEGIN IMMEDIATE");
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}

function diskFault({ disk, engine, service }: Parts, random: Random): Fault {
  // With an engine the disk contains only the audit log.
  if (disk !== undefined && engine === undefined && random.between(0, 1) === 0)
    return { name: "disk full", lasts: some, begin: disk.fill };
  // Beyond the limit each write fails like one to a broken disk.
  const limitFiles = (bytes: string): void =>
    void execFileSync("prlimit", ["--pid", String(service.pid), `--fsize=${bytes}:unlimited`]);
  return {
    name: "disk fails",
    lasts: some,
    begin() {
      limitFiles("4096");
      return () => limitFiles("unlimited");
    },
  };
}

function downstreamFault({ downstream }: Parts, random: Random): Fault {
  const trouble: DownstreamTrouble = {
    how: random.pick(["hang", "status", "reset"]),
    afterEffect: random.between(0, 1) === 1,
    oneOf: random.between(1, 4),
  };
  return {
    name: `${trouble.how} ${trouble.afterEffect ? "after" : "before"} the effect`,
    lasts: some,
    begin: () => downstream.trouble(trouble),
  };
}

function platformFault({ platform }: Parts, random: Random): Fault {
  const trouble = random.pick<PlatformTrouble>(["500", "429", "hang", "cut", "token"]);
  return { name: `deliveries: ${trouble}`, lasts: some, begin: () => platform.trouble(trouble) };
}

function pause({ service }: Parts): Fault {
  return {
    name: "process stopped",
    lasts: [1000, 6000],
    begin() {
      service.signal("SIGSTOP");
      return () => service.signal("SIGCONT");
    },
  };
}

function kill({ service }: Parts): Fault {
  return {
    name: "process killed",
    lasts: [50, 1000],
    async begin() {
      await service.kill();
      return () => service.start();
    },
  };
}
