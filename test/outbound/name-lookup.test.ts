import type { lookup as resolveName } from "node:dns";
import { describe, expect, test } from "vitest";
import { createAddressGuard } from "../../src/outbound/address-guard.ts";
import { rejection, scope, startOutbound, startRaw } from "./downstream.ts";
import { resolver } from "./resolver.ts";

describe("the look-up of a name", () => {
  function lookUp(found: string[] | Error, options: object, privateAddresses: string[] = []) {
    const resolve = found instanceof Error ? failing(found) : resolver(found);
    const { lookup } = createAddressGuard({ privateAddresses, resolve });
    return new Promise<unknown[]>((done) => lookup("Some.Name.", options, (...answer) => done(answer)));
  }

  function failing(error: Error): typeof resolveName {
    const resolve = (_host: string, _options: unknown, callback: (error: Error) => void): void => callback(error);
    return resolve as unknown as typeof resolveName;
  }

  test("returns the first public address, or all of them", async () => {
    const found = ["93.184.216.34", "2606:4700::1111"];
    expect(await lookUp(found, {})).toEqual([null, "93.184.216.34", 4]);
    expect(await lookUp(found.toReversed(), {})).toEqual([null, "2606:4700::1111", 6]);
    expect(await lookUp(found, { all: true })).toEqual([
      null,
      [
        { address: "93.184.216.34", family: 4 },
        { address: "2606:4700::1111", family: 6 },
      ],
    ]);
  });

  test("fails like the resolver, and if there is no address or a private one", async () => {
    const reason = new Error("no such name");
    expect((await lookUp(reason, {}))[0]).toBe(reason);
    expect((await lookUp([], {}))[0]).toMatchObject({ message: "no address for some.name", code: "ENOTFOUND" });
    expect((await lookUp(["93.184.216.34", "fd00::7"], {}))[0]).toMatchObject({ problem: "refused", sent: false });
  });

  test.each([["fd00::7"], ["[fd00::7]"], ["fd00::/16"], ["[fd00::]/16", "[fd00::7]"], ["some.name"]])(
    "accepts a private IPv6 address that the operator listed as %s",
    async (...named) => {
      expect(await lookUp(["fd00::7"], {}, named.slice(-1))).toEqual([null, "fd00::7", 6]);
    },
  );

  test("does not accept the neighbours of an address that the operator listed", async () => {
    for (const [named, found] of [
      ["fd00::7", "fd00::8"],
      ["10.0.0.7", "10.0.0.8"],
      ["10.0.0.7", "fd00::7"],
    ] as const) {
      expect((await lookUp([found], {}, [named]))[0], found).toMatchObject({ problem: "refused" });
    }
  });
});

describe("names", () => {
  test("that resolve to a private address are refused at connect, even beside a public one", async () => {
    await using listener = await startRaw(() => {});
    for (const found of [["127.0.0.1"], ["::1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:10.0.0.1"]]) {
      await using outbound = startOutbound({
        guard: createAddressGuard({ privateAddresses: [], resolve: resolver(found) }),
      });
      const reason = await rejection(outbound.httpFor(scope())(`http://rebind.example:${listener.port}/`));
      expect(reason.message).toBe(
        "The host rebind.example leads to a private address and is not reached. JACKFIELD_PRIVATE_ADDRESSES can allow it.",
      );
    }
    expect(listener.connections).toBe(0);
  });

  test("that change their address between two requests are checked at each connect (hazard 54)", async () => {
    await using listener = await startRaw((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")),
    );
    const changing = createAddressGuard({
      privateAddresses: ["127.0.0.2"],
      resolve: resolver(["127.0.0.2"], ["127.0.0.1"]),
    });
    // The listener is only at 127.0.0.1: the first try passes and is refused by the system, the retry by the guard.
    await using outbound = startOutbound({ guard: changing });
    const reason = await rejection(outbound.httpFor(scope())(`http://rebind.example:${listener.port}/`));
    expect(reason).toMatchObject({ problem: "refused" });
    expect(listener.connections).toBe(0);
  });
});
