import { ToolError } from "jackfield/plugin";
import type { PrismaClient } from "./generated/client.ts";
import { type DatabaseConfig, type OpenDatabase, openDatabase } from "./open-database.ts";

/** The inventory database: opened at once, in the background, and again by the next call where that failed. */
export interface Inventory {
  /** The client, as soon as the database is open. Throws ToolError where it cannot be opened. */
  client(): Promise<PrismaClient>;
  /** Throws where the database cannot be reached, with words for the operator. */
  check(): Promise<void>;
  /** Closes what is open. Afterwards nothing can be asked any more. */
  close(): Promise<void>;
}

/** Begins to open the database and returns without waiting: the embedded one takes more than a second. */
export function createInventory(config: DatabaseConfig): Inventory {
  let opening: Promise<OpenDatabase> | undefined;
  let closed = false;

  const database = (): Promise<OpenDatabase> => {
    if (closed) {
      return Promise.reject(new Error("The inventory database is closed."));
    }
    opening ??= openDatabase(config).catch((reason: unknown) => {
      opening = undefined;
      throw reason;
    });
    return opening;
  };
  // A failure here is told by `check` and by each call, which try again.
  database().catch(() => undefined);

  return {
    async client() {
      try {
        return (await database()).client;
      } catch (cause) {
        throw new ToolError("The inventory database cannot be reached at present.", { cause });
      }
    },
    async check() {
      try {
        const { client } = await database();
        await client.inventory.findFirst({ select: { id: true } });
      } catch (cause) {
        throw new Error(`The inventory database cannot be reached: ${wordsFrom(cause)}`, { cause });
      }
    },
    async close() {
      closed = true;
      const open = await opening?.catch(() => undefined);
      await open?.close();
    },
  };
}

/** The last line says what happened; those before it quote source text. */
function wordsFrom(reason: unknown): string {
  const message = reason instanceof Error ? reason.message : String(reason);
  return (
    message
      .split("\n")
      .findLast((line) => line.trim() !== "")
      ?.trim() ?? "no reason given"
  );
}
