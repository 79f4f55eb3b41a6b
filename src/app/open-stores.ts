import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { type PeerTls, watchPeerTls } from "../config/peer-tls.ts";
import type { JobQueue } from "../jobs/job-queue.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { encryptionSecret } from "../config/encryption.ts";
import { createSealer, type Sealer } from "../store/sealer.ts";
import {
  createKeyCheck,
  type KeyCheck,
  postgresUsedKeys,
  redisUsedKeys,
  sqliteUsedKeys,
  type UsedKeys,
} from "../store/used-keys.ts";
import { postgresSecret, redisSecret, type SharedSecret, sqliteSecret } from "../store/shared-secret.ts";
import type { RegisteredTools } from "../remote-tools/registered-tools.ts";
import type { CheckResult } from "./readiness.ts";

const hourMs = 3_600_000;

/** All durable state, backed by one server or one file. */
export interface Stores {
  readonly kind: "sqlite" | "redis" | "postgres";
  readonly ledger: Ledger;
  readonly queue: JobQueue;
  readonly registeredTools: RegisteredTools;
  /** Encrypts stored values if the configuration has keys. */
  readonly sealer: Sealer;
  /** Random bits shared by all processes of the store. */
  readonly sharedSecret: SharedSecret;
  /** Records the sealing key in the store, and checks for missing keys. Rejects with a StoreUnavailableError. */
  checkKeys(): Promise<void>;
  /** Result of the readiness check. */
  check(): Promise<CheckResult>;
  close(): Promise<void>;
}

/** Thrown for a configured store that must not be used in its present state. */
export class StoreOpenError extends Error {
  override readonly name: string = "StoreOpenError";
}

/**
 * Opens the embedded store, or the configured engine. Drivers are imported on demand. Throws a StoreRefusedError or
 * StoreOpenError if the service must not start on it.
 */
export async function openStores(config: Config, log: Logger): Promise<Stores> {
  let faulty = false;
  const onProblem = (problem: string | undefined): void => {
    if (problem !== undefined) log.error({ problem }, "the store cannot be used");
    else if (faulty) log.info("the store can be used again");
    faulty = problem !== undefined;
  };
  const keys = config.encryption.keys.map(({ id, secret }) => ({ id, secret: encryptionSecret(secret) }));
  const sealer = createSealer(keys, (note) => log.error(`encryption: ${note}`));
  const { ledger, jobs, encryption } = config;
  const retentionMs = (Math.max(ledger.windowHours, ledger.uncertainHours, jobs.deadHours) + 1) * hourMs;
  const keyCheck = (used: UsedKeys) => createKeyCheck(used, sealer, { lost: encryption.lostKeys, retentionMs });
  const certificates = config.engineTls && watchPeerTls(config.engineTls, { log });
  try {
    const opened = await openKind(config, { onProblem, log, sealer, keyCheck, tls: certificates?.tls });
    return {
      ...opened,
      close() {
        certificates?.close();
        return opened.close();
      },
    };
  } catch (cause) {
    certificates?.close();
    throw cause;
  }
}

function openKind(config: Config, parts: StoreParts): Promise<Stores> {
  const url = config.engineUrl?.reveal();
  if (url === undefined) return openEmbedded(config.dataDir, parts);
  return /^rediss?:/.test(url)
    ? openRedis(url, config, parts).catch(explainMissing("ioredis"))
    : openPostgres(url, parts).catch(explainMissing("pg"));
}

/**
 * Returns an error handler that names the packages to install if an engine's client library, an optional peer
 * dependency, is missing.
 */
function explainMissing(packages: string): (reason: unknown) => never {
  return (reason) => {
    if ((reason as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw reason;
    throw new StoreOpenError(
      `JACKFIELD_ENGINE_URL needs packages that are not installed: run \`npm install ${packages}\`.`,
    );
  };
}

/** Dependencies of every store. */
interface StoreParts {
  readonly onProblem: (problem: string | undefined) => void;
  readonly log: Logger;
  readonly sealer: Sealer;
  readonly keyCheck: (used: UsedKeys) => KeyCheck;
  /** Certificates for connections to the engine. */
  readonly tls: PeerTls | undefined;
}

async function openEmbedded(folder: string, { onProblem, log, sealer, keyCheck }: StoreParts): Promise<Stores> {
  const { openSqliteStore } = await import("../store/sqlite.ts");
  const { createSqliteLedger } = await import("../ledger/drivers/sqlite.ts");
  const { createSqliteJobQueue } = await import("../jobs/drivers/sqlite.ts");
  const { createSqliteRegisteredTools } = await import("../remote-tools/drivers/sqlite.ts");
  const store = await openSqliteStore({ folder, onProblem, onNotice: (notice) => log.warn(notice) });
  return stores(store, {
    kind: "sqlite",
    sealer,
    ledger: createSqliteLedger(store, { log, sealer }),
    queue: createSqliteJobQueue(store, { log, sealer }),
    registeredTools: createSqliteRegisteredTools(store),
    sharedSecret: sqliteSecret(store),
    keyCheck: keyCheck(sqliteUsedKeys(store)),
  });
}

async function openRedis(
  url: string,
  { ledger: { windowHours, uncertainHours }, engineMayLoseWork: mayLoseWork }: Config,
  { onProblem, log, sealer, keyCheck, tls }: StoreParts,
): Promise<Stores> {
  const { openRedisStore, checkRedisDurability } = await import("../store/redis.ts");
  const { createRedisLedger } = await import("../ledger/drivers/redis.ts");
  const { createRedisJobQueue } = await import("../jobs/drivers/redis.ts");
  const { createRedisRegisteredTools } = await import("../remote-tools/drivers/redis.ts");
  const store = await openRedisStore({ url, tls, onProblem });
  // Undefined if Redis is unavailable at startup: then the check runs as soon as it is available.
  const checkDurability = async (): Promise<Durability | undefined> => {
    const problem = await checkRedisDurability(store).catch((): false => false);
    return problem === false ? undefined : { problem };
  };
  let durability = await checkDurability();
  if (durability?.problem !== undefined && !mayLoseWork) {
    await store.close();
    throw new StoreOpenError(`${durability.problem}. ${durabilityHint}`);
  }
  if (durability?.problem !== undefined)
    log.warn({ problem: durability.problem }, "the engine may lose acknowledged work");
  return stores(
    store,
    {
      kind: "redis",
      sealer,
      ledger: createRedisLedger(store, {
        windowMs: windowHours * hourMs,
        uncertainMs: uncertainHours * hourMs,
        log,
        sealer,
      }),
      queue: createRedisJobQueue(store, { log, sealer }),
      registeredTools: createRedisRegisteredTools(store),
      sharedSecret: redisSecret(store),
      keyCheck: keyCheck(redisUsedKeys(store)),
    },
    async () => {
      durability ??= await checkDurability();
      return durability?.problem === undefined || mayLoseWork
        ? []
        : [`engine: ${durability.problem}. ${durabilityHint}`];
    },
  );
}

/** Whether the engine keeps acknowledged writes; `problem` gives the reason if not. */
interface Durability {
  readonly problem: string | undefined;
}

const durabilityHint = "Change that, or write `engine: { mayLoseWork: true }` in the configuration file.";

async function openPostgres(url: string, { onProblem, log, sealer, keyCheck, tls }: StoreParts): Promise<Stores> {
  const { openPostgresStore } = await import("../store/postgres.ts");
  const { createPostgresLedger } = await import("../ledger/drivers/postgres.ts");
  const { createPostgresJobQueue } = await import("../jobs/drivers/postgres.ts");
  const { createPostgresRegisteredTools } = await import("../remote-tools/drivers/postgres.ts");
  const store = await openPostgresStore({ url, tls, onProblem });
  return stores(store, {
    kind: "postgres",
    sealer,
    ledger: createPostgresLedger(store, { log, sealer }),
    queue: createPostgresJobQueue(store, { log, sealer }),
    registeredTools: createPostgresRegisteredTools(store),
    sharedSecret: postgresSecret(store),
    keyCheck: keyCheck(postgresUsedKeys(store)),
  });
}

/** Combines the parts of one store: its check covers all of them, and it closes after them. */
async function stores(
  store: { close(): Promise<void> },
  { keyCheck, ...parts }: Omit<Stores, "check" | "checkKeys" | "close"> & { readonly keyCheck: KeyCheck },
  furtherProblems: () => Promise<string[]> = async () => [],
): Promise<Stores> {
  const { kind, ledger, queue, sealer } = parts;
  // If the store is unavailable, the check runs as soon as it is back.
  await keyCheck.refresh().catch(() => {});
  const noun = kind === "sqlite" ? "store" : "engine";
  return {
    ...parts,
    checkKeys: () => keyCheck.refresh(),
    async check() {
      const pings = await Promise.allSettled([ledger.ping(), queue.ping()]);
      const problems = pings.flatMap((one) =>
        one.status === "rejected" ? [`${noun}: ${(one.reason as Error).message}`] : [],
      );
      if (problems.length === 0) {
        if (keyCheck.isMissing === undefined) await keyCheck.refresh();
        problems.push(...(await furtherProblems()));
      }
      const ofKeys = sealer.notes();
      if (keyCheck.isMissing === true) problems.push(...ofKeys);
      return {
        problems: [...new Set(problems)],
        notes: [...ledger.notes(), ...(keyCheck.isMissing === true ? [] : ofKeys)],
      };
    },
    async close() {
      await Promise.allSettled([queue.close(), ledger.close()]);
      await store.close();
    },
  };
}
