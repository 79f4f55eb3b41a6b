import { test } from "vitest";

/** A test of requirements. The ids are part of its name, where the coverage test finds them. */
export function testRequirement(
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
