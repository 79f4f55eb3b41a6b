import { LinkedList } from "../linked-list.ts";
import type { JobCodec, ReadRow } from "./job-codec.ts";
import type { JobRow, JobTable } from "./job-table.ts";
import { createLease, type HeldLease, type JobLog } from "./lease.ts";

/** The leases of one worker. */
export interface Leases {
  /** Claims due jobs, either suspects or the others, and deletes erased ones. Rejects with the store's error. */
  claim(count: number, suspects: boolean): Promise<HeldLease[]>;
  /** Returns a token for a job that is inserted as held. */
  newToken(): string;
  /** Returns the lease of a row that was inserted as held. */
  hold(row: JobRow, read: ReadRow): HeldLease;
  /** Records a token under which rows may be held unnoticed, because an answer was lost. */
  disown(token: string): void;
  /** Aborts the work on jobs that were erased or belong to another worker. Never rejects. */
  verify(): Promise<void>;
  /** Stops extending the leases. */
  close(): void;
}

/** How long the store may still execute a request whose answer was lost, in milliseconds. */
const disownedForMs = 30_000;

/** Dependencies of the leases. */
export interface LeasesParts {
  readonly table: JobTable;
  readonly owner: string;
  readonly codec: JobCodec;
  readonly log: JobLog;
}

/**
 * Creates the leases of one worker on a table. Each lease is extended until it is settled; `stop` aborts the work on
 * all.
 */
export function createLeases({ table, owner, codec, log }: LeasesParts, stop: AbortSignal): Leases {
  const { leaseMs } = table;
  const active = new LinkedList<HeldLease>();
  const disowned = new Map<string, number>();
  const exclusive = !Number.isFinite(leaseMs);
  let tokens = 0;
  let extending = false;
  let answeredAt = Number.NEGATIVE_INFINITY;
  /**
   * Since when the store has answered without interruption. After an outage all leases have expired: their owners go
   * first.
   */
  let connectedSince = Number.POSITIVE_INFINITY;

  function answered(): void {
    const now = performance.now();
    if (now - answeredAt > leaseMs / 2) connectedSince = now;
    answeredAt = now;
  }

  async function extend(): Promise<void> {
    if (extending || active.size === 0) return;
    extending = true;
    const leases = active.items();
    const sentAt = performance.now();
    try {
      const ids = new Set(await table.extend(leases.map(({ value: { row } }) => ({ id: row.id, token: row.token }))));
      answered();
      for (const lease of leases) {
        if (ids.has(lease.value.row.id)) lease.value.extended(sentAt);
        else if (active.has(lease)) await lease.value.verify();
      }
    } catch {
      // The store is unavailable: leases expire by themselves.
    }
    extending = false;
  }

  const timer = exclusive ? undefined : setInterval(() => void extend(), leaseMs / 3).unref();
  const onStop = (): void => {
    clearInterval(timer);
    for (const { value: lease } of active.items()) lease.stop(stop.reason);
  };
  stop.addEventListener("abort", onStop, { once: true });

  function hold(row: JobRow, read: ReadRow): HeldLease {
    const lease = createLease({ table, codec, log }, row, read, () => active.remove(item));
    const item = active.add(lease);
    if (stop.aborted) lease.stop(stop.reason);
    return lease;
  }

  const newToken = (): string => `${owner}.${(tokens += 1)}`;

  return {
    newToken,
    hold,
    disown: (token) => void disowned.set(token, performance.now()),
    async claim(count, suspects) {
      for (const [token, since] of disowned) {
        await table.release(token);
        if (performance.now() - since > disownedForMs) disowned.delete(token);
      }
      const token = newToken();
      const expired = exclusive || performance.now() - connectedSince >= leaseMs;
      try {
        const rows = await table.claim({ token, count, expired, suspects });
        answered();
        // Erased while a worker held it that has died since.
        for (const { id, record } of rows) if (record === "") await table.remove(id, token);
        return rows.filter(({ record }) => record !== "").map((row) => hold(row, codec.read(row)));
      } catch (cause) {
        disowned.set(token, performance.now());
        throw cause;
      }
    },
    async verify() {
      try {
        for (const { value: lease } of active.items()) await lease.verify();
      } catch {
        // The store is unavailable: a shared one is asked again with the next extension.
      }
    },
    close: () => clearInterval(timer),
  };
}
