import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockFromText } from "../../src/config/private-addresses.ts";
import { createAddressGuard } from "../../src/outbound/address-guard.ts";
import { isInBlocks, isPrivateAddress } from "../../src/outbound/private-address.ts";
import { rejection, scope, startDownstream, startOutbound, startRaw } from "./downstream.ts";
import { resolver } from "./resolver.ts";

const guard = createAddressGuard({ privateAddresses: [] });

describe("private addresses in a URL", () => {
  const spellings = (port: number): string[] => [
    `http://127.0.0.1:${port}/`,
    `http://127.1:${port}/`,
    `http://127.0.1:${port}/`,
    `http://2130706433:${port}/`,
    `http://017700000001:${port}/`,
    `http://0x7f000001:${port}/`,
    `http://0x7f.0.0.1:${port}/`,
    `http://0177.0.0.01:${port}/`,
    `http://127.0.0.1.:${port}/`,
    `http://0.0.0.0:${port}/`,
    `http://0:${port}/`,
    `http://127.255.255.254:${port}/`,
    `http://①②⑦.0.0.1:${port}/`,
    `http://127。0。0。1:${port}/`,
    `http://%31%32%37.0.0.1:${port}/`,
    `http://[::1]:${port}/`,
    `http://[0:0:0:0:0:0:0:1]:${port}/`,
    `http://[::]:${port}/`,
    `http://[::ffff:127.0.0.1]:${port}/`,
    `http://[::ffff:7f00:1]:${port}/`,
    `http://[::127.0.0.1]:${port}/`,
    `http://[64:ff9b::127.0.0.1]:${port}/`,
    `http://[64:ff9b:1::7f00:1]:${port}/`,
    `http://[2002:7f00:1::]:${port}/`,
    `http://[2001:0:7f00:1::1]:${port}/`,
    `http://[::ffff:0:127.0.0.1]:${port}/`,
    `http://[fe80::1]:${port}/`,
    `http://[fe80::1%25lo]:${port}/`,
    `http://[fd00::1]:${port}/`,
    `http://[fec0::1]:${port}/`,
    `http://localhost:${port}/`,
    `http://LOCALHOST.:${port}/`,
    `http://a.localhost:${port}/`,
    `http://user@127.0.0.1:${port}/`,
    `http://example.com@127.0.0.1:${port}/`,
    `http:\\\\127.0.0.1:${port}/`,
    `http://169.254.169.254/latest/meta-data`,
    `http://10.0.0.1/`,
    `http://172.16.0.1/`,
    `http://192.168.1.1/`,
    `http://100.64.0.1/`,
    `http://198.18.0.1/`,
    `http://224.0.0.1/`,
    `http://255.255.255.255/`,
    `file:///etc/passwd`,
    `ftp://127.0.0.1:${port}/`,
    `gopher://127.0.0.1:${port}/`,
    `//127.0.0.1:${port}`,
    ``,
  ];

  test("are refused in every notation before anything connects (hazard 54)", async () => {
    await using listener = await startRaw(() => {});
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope());
    for (const url of spellings(listener.port)) {
      expect(await rejection(http(url)), url).toMatchObject({ problem: "refused", sent: false });
    }
    expect(listener.connections).toBe(0);
    expect(outbound.changes).toEqual([]);
  });

  test("are refused with a message that says what an operator can do", async () => {
    await using outbound = startOutbound();
    expect((await rejection(outbound.httpFor(scope())("http://10.0.0.7/"))).message).toBe(
      "The host 10.0.0.7 leads to a private address and is not reached. JACKFIELD_PRIVATE_ADDRESSES can allow it.",
    );
  });

  test("are recognised in every notation of a 32-bit number", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (number) => {
        const octets = [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
        const dotted = octets.join(".");
        const hex = octets.map((octet) => octet.toString(16).padStart(2, "0")).join("");
        const refused = isPrivateAddress(dotted);
        const hosts = [
          dotted,
          String(number),
          `0x${hex}`,
          `0${number.toString(8)}`,
          octets.map((octet) => `0${octet.toString(8)}`).join("."),
          `${dotted}.`,
          `[::ffff:${dotted}]`,
        ];
        for (const host of hosts) {
          let refusedHere = false;
          try {
            guard.check(new URL(`http://${host}/`));
          } catch {
            refusedHere = true;
          }
          expect(refusedHere, host).toBe(refused);
        }
      }),
    );
  });

  test("are refused in every private block, and also as IPv6 addresses", () => {
    const blocks = [
      [127, 8],
      [10, 8],
      [0, 8],
    ] as const;
    fc.assert(
      fc.property(fc.constantFrom(...blocks), fc.nat(2 ** 24 - 1), ([first], rest) => {
        const dotted = [first, rest >>> 16, (rest >>> 8) & 255, rest & 255].join(".");
        for (const host of [dotted, `::ffff:${dotted}`, `::${dotted}`, `64:ff9b::${dotted}`])
          expect(isPrivateAddress(host), host).toBe(true);
      }),
    );
  });

  test("a text that is no address is private, whatever an operator allows", () => {
    const everything = ["0.0.0.0/0", "::/0"].map((text) => blockFromText(text)!);
    for (const text of ["", "example.com", "1.2.3.4.5", "fe80::g"]) {
      expect([isPrivateAddress(text), isInBlocks(text, everything)], text).toEqual([true, false]);
    }
    for (const text of ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"]) {
      expect([isPrivateAddress(text), isInBlocks(text, everything)], text).toEqual([true, true]);
    }
  });

  test("do not include public ones", () => {
    for (const url of [
      "http://8.8.8.8/",
      "https://example.com/",
      "http://[2606:4700::1111]/",
      "http://172.32.0.1/",
      "http://localhost.example.com/",
    ]) {
      expect(() => guard.check(new URL(url)), url).not.toThrow();
    }
  });

  test("a user name or a password in a URL is refused, for any host", async () => {
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: ["http://mine.example.com"] }));
    for (const url of ["http://me@example.com/", "http://:secret@example.com/", "http://me:secret@mine.example.com/"]) {
      expect(await rejection(http(url)), url).toMatchObject({
        message: "A URL with a user name or password is not requested.",
        problem: "refused",
        sent: false,
      });
    }
  });

  test("another scheme is refused, for any host", async () => {
    await using outbound = startOutbound();
    expect(await rejection(outbound.httpFor(scope())("ftp://example.com/"))).toMatchObject({
      message: "Only http and https URLs can be requested.",
      problem: "refused",
      sent: false,
    });
  });

  test("a bare host is checked in every notation too", () => {
    for (const host of [
      "127.0.0.1",
      "0x7f.1",
      "2130706433",
      "::1",
      "[::1]",
      "localhost",
      "169.254.169.254",
      "",
      ".",
      "a b",
    ]) {
      expect(() => guard.checkHost(host), host).toThrow(expect.objectContaining({ problem: "refused", sent: false }));
    }
    expect(() => guard.checkHost("a b")).toThrow("The host is not valid.");
    expect(() => guard.checkHost("2606:4700::1111")).not.toThrow();
    expect(() => guard.checkHost("[2606:4700::1111]")).not.toThrow();
    expect(() => guard.checkHost("example.com")).not.toThrow();
  });
});

describe("permitted private addresses", () => {
  test("are the tool's own origins, by scheme, host and port", async () => {
    await using mine = await startDownstream((response) => response.end("{}"));
    await using other = await startDownstream((response) => response.end("{}"));
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [mine.origin] }));
    expect((await http(mine.origin)).status).toBe(200);
    expect(await rejection(http(other.origin))).toMatchObject({ problem: "refused" });
    expect(await rejection(outbound.httpFor(scope())(mine.origin))).toMatchObject({ problem: "refused" });
    expect(mine.requests).toHaveLength(1);
  });

  test("are those that the operator listed, as host, address or CIDR", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    for (const privateAddresses of [["127.0.0.0/8"], ["127.0.0.1"], [" 127.0.0.1/32 "]]) {
      await using outbound = startOutbound({ privateAddresses });
      expect((await outbound.httpFor(scope())(api.origin)).status).toBe(200);
      expect(await rejection(outbound.httpFor(scope())("http://10.0.0.1/"))).toMatchObject({ problem: "refused" });
    }
    const digits = createAddressGuard({ privateAddresses: ["4erp"], resolve: resolver(["127.0.0.1"]) });
    await using byDigits = startOutbound({ guard: digits });
    expect((await byDigits.httpFor(scope())(`http://4erp:${api.port}/`)).status).toBe(200);
    const byName = createAddressGuard({ privateAddresses: [" Erp.Internal. "], resolve: resolver(["127.0.0.1"]) });
    await using outbound = startOutbound({ guard: byName });
    expect((await outbound.httpFor(scope())(`http://erp.internal:${api.port}/`)).status).toBe(200);
    expect(await rejection(outbound.httpFor(scope())(`http://crm.internal:${api.port}/`))).toMatchObject({
      problem: "refused",
    });
  });

  test("must be written in a valid form", () => {
    for (const entry of ["10.0.0.0/33", "1.2.3", "http://a", "a b", "", "300.1.1.1"]) {
      expect(() => createAddressGuard({ privateAddresses: [entry] }), entry).toThrow(
        "JACKFIELD_PRIVATE_ADDRESSES: expected",
      );
    }
  });
});
