import type { ListItem } from "../linked-list.ts";
import type { Claim, Intent } from "./ledger.ts";

/** A claim with what the ledger that issued it remembers. */
export class IssuedClaim implements Claim {
  readonly key: string;
  readonly attempt: number;
  readonly sendUntil: number;
  readonly lineage: string;
  readonly intent: Intent;
  /** When the request for it was sent, by the ledger's monotonic clock. */
  readonly sentAt: number;
  /** An outcome has been stored under this claim. */
  stored = false;
  /** This process no longer owns the entry, or it has ended. */
  ended = false;
  /** Its item in the list of running calls. */
  running: ListItem<IssuedClaim> | undefined;

  constructor(intent: Intent, attempt: number, lineage: string, times: { sentAt: number; sendUntil: number }) {
    this.key = intent.key;
    this.intent = intent;
    this.attempt = attempt;
    this.lineage = lineage;
    this.sentAt = times.sentAt;
    this.sendUntil = times.sendUntil;
  }
}

/** Returns a claim as the ledger issued it. Throws if no ledger did. */
export function issuedClaim(claim: Claim): IssuedClaim {
  if (claim instanceof IssuedClaim) return claim;
  throw new TypeError("the claim was not issued by this ledger");
}
