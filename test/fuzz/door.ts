import type * as fc from "fast-check";
import type { FuzzAnswer, FuzzRequest } from "./exchange.ts";

/** One way into the service, and how it is fuzzed. */
export interface Door {
  readonly name: string;
  /** Requests that are sent one after the other. */
  readonly requests: fc.Arbitrary<readonly FuzzRequest[]>;
  /** Throws where an answer has not the door's shape. */
  check(answer: FuzzAnswer, request: FuzzRequest): void;
}

/** A case of one request. */
export function single(request: fc.Arbitrary<FuzzRequest>): fc.Arbitrary<readonly FuzzRequest[]> {
  return request.map((one) => [one]);
}
