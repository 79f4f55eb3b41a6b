import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { untilCancelled } from "../../src/rpc/until-cancelled.ts";

test("an open stream retains none of the items that it has passed on", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  async function* source() {
    for (;;) yield {};
  }
  const items = untilCancelled(source(), { cancelled: undefined, subscribe: () => () => {} });
  const count = 100_000;
  const before = used();
  for (let index = 0; index < count; index += 1) await items.next();
  // A promise that is raced with every item retains some 250 bytes of each.
  await expect.poll(() => (used() - before) / count).toBeLessThan(100);
  await items.return();
});
