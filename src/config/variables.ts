import type { Env } from "./environment.ts";
import { nearest } from "./nearest.ts";

/** Jackfield's own variables. Each secret one also has a `NAME_FILE` variant. */
export const ownVariables = [
  "JACKFIELD_CONFIG",
  "JACKFIELD_DATA_DIR",
  "JACKFIELD_ENGINE_URL",
  "JACKFIELD_API_KEYS",
  "JACKFIELD_PRIVATE_ADDRESSES",
  "JACKFIELD_ALLOWED_HOSTS",
  "JACKFIELD_AUDIT_FILE",
  "JACKFIELD_SANDBOX",
] as const;

/** Variables of the command line and the tests, which the service does not read. */
const foreignVariables = ["JACKFIELD_API_KEY", "JACKFIELD_TEST_ALL", "JACKFIELD_KILLS"];

/** Returns one warning for each unknown variable with our prefix, which is probably misspelt. */
export function unknownVariables(env: Env): string[] {
  const known: readonly string[] = ownVariables;
  return Object.keys(env)
    .filter(
      (name) =>
        name.startsWith("JACKFIELD_") &&
        !foreignVariables.includes(name) &&
        !known.includes(name) &&
        !known.includes(name.replace(/_FILE$/, "")),
    )
    .flatMap((name) => {
      const near = nearest(name, known);
      return near === undefined ? [] : [`${name} is not a variable that Jackfield reads; did you mean ${near}?`];
    });
}
