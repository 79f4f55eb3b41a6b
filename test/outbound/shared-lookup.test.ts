import { expect, test } from "vitest";
import { createAddressGuard } from "../../src/outbound/address-guard.ts";
import { createSharedLookup, type Lookup } from "../../src/outbound/shared-lookup.ts";
import { scope, startDownstream, startOutbound } from "./downstream.ts";

type Ask = { readonly host: string; readonly answer: Parameters<Lookup>[2] };

/** A name server whose answers the test controls. */
function slowServer(): { readonly asked: Ask[]; readonly lookup: Lookup } {
  const asked: Ask[] = [];
  return { asked, lookup: createSharedLookup((host, _options, answer) => void asked.push({ host, answer })) };
}

test("concurrent look-ups of one name are one look-up, and all get its addresses or its error", () => {
  const { asked, lookup } = slowServer();
  const answers: unknown[][] = [];
  const ask = (host: string, options = {}): void => lookup(host, options, (...answer) => void answers.push(answer));
  for (let n = 0; n < 100; n += 1) ask("slow.example");
  expect(asked.map(({ host }) => host)).toEqual(["slow.example"]);
  asked[0]!.answer(null, "93.184.216.34", 4);
  expect(answers).toEqual(Array.from({ length: 100 }, () => [null, "93.184.216.34", 4]));

  const error = new Error("no answer");
  for (let n = 0; n < 3; n += 1) ask("slow.example");
  expect(asked).toHaveLength(2);
  asked[1]!.answer(error, "");
  expect(answers.slice(100)).toEqual([
    [error, ""],
    [error, ""],
    [error, ""],
  ]);
});

test("other names and other families are looked up separately", () => {
  const { asked, lookup } = slowServer();
  const ignore = (): void => {};
  lookup("a.example", {}, ignore);
  lookup("b.example", {}, ignore);
  lookup("a.example", { family: 6 }, ignore);
  lookup("a.example", { all: true }, ignore);
  expect(asked).toHaveLength(4);
});

test("concurrent requests look up their downstream's address once", async () => {
  await using api = await startDownstream((response) => response.end("{}"));
  let asked = 0;
  const resolve = (_host: string, _options: unknown, callback: (error: null, found: object[]) => void): void => {
    asked += 1;
    // As slow as a name server may be.
    setTimeout(() => callback(null, [{ address: "127.0.0.1", family: 4 }]), 100);
  };
  const guard = createAddressGuard({ privateAddresses: ["orders.example"], resolve: resolve as never });
  await using outbound = startOutbound({ guard });
  const http = outbound.httpFor(scope({ origins: [] }));
  await Promise.all(Array.from({ length: 40 }, () => http(`http://orders.example:${api.port}/`)));
  expect(api.requests).toHaveLength(40);
  expect(asked).toBe(1);
});
