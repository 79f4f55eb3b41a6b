import type * as fc from "fast-check";
import type { FuzzAnswer, FuzzRequest } from "./exchange.ts";

/** An entry point of the service, with its requests and checks. */
export interface Door {
  readonly name: string;
  /** Requests that are sent one after the other. */
  readonly requests: fc.Arbitrary<readonly FuzzRequest[]>;
  /** Throws if an answer does not have the form of this entry point. */
  check(answer: FuzzAnswer, request: FuzzRequest): void;
}

/** A case of one request. */
export function single(request: fc.Arbitrary<FuzzRequest>): fc.Arbitrary<readonly FuzzRequest[]> {
  return request.map((one) => [one]);
}
