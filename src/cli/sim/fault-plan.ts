import type { Random } from "../../sandbox/random.ts";

/**
 * Faults that the simulated platform can inject into a delivery: reject it with a status (`429` requests a pause in
 * seconds, `429-date` until an HTTP date; after `401` the next attempt is accepted, after `401-always` none), answer
 * late (`slow`), or accept it and break the connection before the response is complete (`cut`).
 */
export const faultNames = ["401", "401-always", "403", "408", "429", "429-date", "500", "503", "slow", "cut"] as const;

/** One of the faults. */
export type FaultName = (typeof faultNames)[number];

/** Probability of each fault, from 0 to 1, at most 1 in total. */
export type FaultPlan = Readonly<Partial<Record<FaultName, number>>>;

/** Parses `429=0.1,cut=0.02`. Throws a RangeError that describes the problem. */
export function faultPlanFrom(text: string): FaultPlan {
  const plan: Partial<Record<FaultName, number>> = {};
  for (const part of text.split(",").filter((one) => one.trim() !== "")) {
    const [name = "", value = ""] = part.split("=").map((side) => side.trim());
    const known = faultNames.find((fault) => fault === name);
    if (known === undefined)
      throw new RangeError(`There is no fault ${JSON.stringify(name)}: use ${faultNames.join(", ")}.`);
    const probability = Number(value);
    if (value === "" || !(probability >= 0 && probability <= 1)) {
      throw new RangeError(`${name} needs a probability from 0 to 1, such as ${name}=0.05.`);
    }
    plan[known] = probability;
  }
  const sum = Object.values(plan).reduce((total, one) => total + one, 0);
  if (sum > 1.000_001) throw new RangeError(`The probabilities add up to ${sum}: they must not exceed 1.`);
  return plan;
}

/** Draws the fault of one delivery; undefined for none. */
export function drawFault(plan: FaultPlan, random: Random): FaultName | undefined {
  let drawn = random.between(0, 999_999) / 1_000_000;
  for (const name of faultNames) {
    drawn -= plan[name] ?? 0;
    if (drawn < 0) return name;
  }
  return undefined;
}
