import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { genesysCall, sendCallback, sendRun } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startWorld } from "./support/world.ts";

const hour = 3_600_000;

testRequirement(
  ["001.11", "003.7"],
  "a clock set back an hour, then forward a day: nothing is repeated or dropped, and no token is requested in a loop (hazard 61)",
  async () => {
    await using world = await startWorld();
    using folder = scratchFolder();
    const file = join(folder.path, "offset");
    writeFileSync(file, "0");
    const service = await world.start({
      env: { TEST_CLOCK_FILE: file, NODE_OPTIONS: `--import=${join(import.meta.dirname, "support/clock-jump.ts")}` },
    });
    const move = async (to: number): Promise<void> => {
      writeFileSync(file, String(to));
      const heard = `clock moved by ${to}`;
      const before = service.log.filter((line) => line === heard).length;
      service.signal("SIGUSR2");
      await until("the clock has moved", () => service.log.filter((line) => line === heard).length > before);
    };
    const executions = (callId: string): number =>
      world.downstream.requests.filter((request) => request.callId === callId).length;
    const firstAnswer = (await sendCallback(service.url, "kept", "put")).text;
    let run = 0;

    /** Proves after a jump that old calls are known and new ones are executed. */
    async function everythingHolds(): Promise<void> {
      expect((await sendCallback(service.url, "kept", "put")).text).toBe(firstAnswer);
      expect(executions("kept")).toBe(1);
      run += 1;
      const before = world.deliveries.length;
      expect((await sendRun(service.url, `run-${run}`, genesysCall(`call-${run}`, "put"))).status).toBe(202);
      await until("it is delivered", () => world.deliveries.length > before);
      expect(world.deliveries.at(-1)).toMatchObject({ runId: `run-${run}`, status: 200 });
      for (let known = 1; known <= run; known += 1) {
        expect((await sendRun(service.url, `run-${known}`, genesysCall(`call-${known}`, "put"))).status).toBe(202);
        expect(executions(`call-${known}`)).toBe(1);
      }
    }

    await everythingHolds();
    for (const to of [-hour, 0, 24 * hour, 23 * hour]) {
      // A delivery that waits for its next try is not lost by the jump.
      world.platform.plan({ "503": 1 });
      const before = world.deliveries.length;
      await sendRun(service.url, `waiting-${to}`, genesysCall(`waiting-${to}`, "put"));
      await until("it was tried", () => world.deliveries.length > before);
      await move(to);
      world.platform.plan({});
      await until("it is delivered after the jump", () =>
        world.deliveries.some(({ runId, status }) => runId === `waiting-${to}` && status === 200),
      );
      await everythingHolds();
    }
    // A token is valid for a day: each forward jump may make it expire once.
    expect(world.platform.tokens).toBeLessThanOrEqual(3);

    // Set back during a restart: calls that were stored an hour ago, in the future, are still known.
    await service.kill();
    writeFileSync(file, String(-hour));
    await service.start();
    expect((await sendCallback(service.url, "kept", "put")).text).toBe(firstAnswer);
    await everythingHolds();
  },
  90_000,
);
