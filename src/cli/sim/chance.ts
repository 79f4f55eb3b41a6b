import type { Random } from "../../sandbox/random.ts";

/** Returns true with the given probability, from 0 to 1. */
export function happens(random: Random, probability: number): boolean {
  return random.between(0, 999_999) < probability * 1_000_000;
}
