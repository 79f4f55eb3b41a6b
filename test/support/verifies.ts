import { test } from "vitest";

/** A test that proves demands of the seed documents: the ids stand in its name, where the coverage test finds them. */
export function verifies(
  ids: string | readonly string[],
  behaviour: string,
  run: () => unknown,
  timeoutMs?: number,
): void {
  const list = typeof ids === "string" ? [ids] : ids;
  test(
    `[${list.join(" ")}] ${behaviour}`,
    async () => {
      await run();
    },
    timeoutMs,
  );
}
