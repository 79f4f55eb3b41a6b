import type { HeldLease } from "./lease.ts";

/** Claimed jobs, sorted by how they can be processed. */
export interface Triage {
  readonly sound: readonly HeldLease[];
  /** Jobs during which the process died twice in a row: one of them may be the cause. */
  readonly suspects: HeldLease[];
  /** Jobs that no worker can process, each with the reason. */
  readonly unusable: readonly { readonly lease: HeldLease; readonly error: string }[];
}

/** Number of consecutive deaths after which a job is set aside. */
const deathLimit = 3;

/** Sorts claimed jobs. */
export function triage(claimed: readonly HeldLease[]): Triage {
  const sound: HeldLease[] = [];
  const suspects: HeldLease[] = [];
  const unusable: { lease: HeldLease; error: string }[] = [];
  for (const lease of claimed) {
    const { deaths } = lease.row;
    if (!lease.read.readable) unusable.push({ lease, error: lease.read.record.job.error });
    else if (deaths >= deathLimit) {
      const error = `set aside: the process died ${deathLimit} times in a row while this job was running`;
      unusable.push({ lease, error });
    } else if (deaths === deathLimit - 1) suspects.push(lease);
    else sound.push(lease);
  }
  return { sound, suspects, unusable };
}
