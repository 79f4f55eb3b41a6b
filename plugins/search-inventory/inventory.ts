import { ToolError } from "jackfield/plugin";
import type { PrismaClient } from "./generated/client.ts";
import { type DatabaseConfig, type OpenDatabase, openDatabase } from "./open-database.ts";

/** The inventory database. It opens in the background at startup; if that fails, the next call tries again. */
export interface Inventory {
  /** Resolves with the client once the database is open. Throws a ToolError if it cannot be opened. */
  client(): Promise<PrismaClient>;
  /** Throws if the database is unreachable, with a message for the operator. */
  check(): Promise<void>;
  /** Closes the database. No call may follow. */
  close(): Promise<void>;
}

/** Starts to open the database and returns at once: the embedded one takes more than a second. */
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
  // `check` and each call report a failure and try again.
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
        throw new Error(`The inventory database cannot be reached: ${lastLine(cause)}`, { cause });
      }
    },
    async close() {
      closed = true;
      const open = await opening?.catch(() => undefined);
      await open?.close();
    },
  };
}

/** Extracts the last line, which names the problem; the lines before it quote source text. */
function lastLine(reason: unknown): string {
  const message = reason instanceof Error ? reason.message : String(reason);
  return (
    message
      .split("\n")
      .findLast((line) => line.trim() !== "")
      ?.trim() ?? "no reason given"
  );
}
