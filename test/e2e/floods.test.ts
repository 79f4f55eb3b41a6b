import { readFileSync } from "node:fs";
import * as http2 from "node:http2";
import * as net from "node:net";
import { constants } from "node:http2";
import { expect, test } from "vitest";
import { frame, framesIn, headerBlock, hello } from "../support/http2-frames.ts";
import { get, sendCallback } from "./support/requests.ts";
import type { Service } from "./support/service.ts";
import { until } from "./support/until.ts";
import { startWorld } from "./support/world.ts";

const rpc = headerBlock("/jackfield.v1.ToolExecutor/ExecuteTool", {
  "content-type": "application/grpc",
  te: "trailers",
});
const page = headerBlock("/llm-gateway/tools", { "content-type": "application/json" });
const endHeaders = 0x4;

/** Streams that are started and reset at once. */
const resets = (block: Buffer): Buffer[] =>
  Array.from({ length: 5000 }, (_, index) => {
    const stream = 2 * index + 1;
    const cancel = Buffer.alloc(4);
    cancel.writeUInt32BE(constants.NGHTTP2_CANCEL);
    return Buffer.concat([frame(1, endHeaders, stream, block), frame(3, 0, stream, cancel)]);
  });

/** One stream whose header block never ends. */
const continuations = [
  frame(1, 0, 1, rpc),
  ...Array.from({ length: 2000 }, () => frame(9, 0, 1, headerBlock("/x", { filler: "x".repeat(100) }).subarray(10))),
];

/** One stream with empty body frames. */
const emptyData = [
  frame(1, endHeaders, 1, rpc),
  ...Array.from({ length: 100_000 }, () => frame(0, 0, 1, Buffer.alloc(0))),
];

/** Streams that each refer a thousand times to one large entry of the header table. */
const bombs = Array.from({ length: 100 }, (_, index) => {
  const name = Buffer.concat([Buffer.from([0x40, 6]), Buffer.from("filler"), Buffer.from([0x7f, 0x81, 0x17])]);
  const entry = index === 0 ? [name, Buffer.alloc(3072, "x")] : [];
  const block = Buffer.concat([page, ...entry, Buffer.alloc(2000, 0xbe)]);
  return frame(1, endHeaders, 2 * index + 1, block);
});

function residentMiB({ pid }: Service): number {
  const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1]) / 1024;
}

test("floods of HTTP/2 frames end only their own session or streams; memory is stable, others are served (hazards 30 and 35)", async () => {
  await using world = await startWorld();
  const service = await world.start();
  const { port } = new URL(service.url);
  const other = http2.connect(service.url);
  const asked = async (id: string): Promise<number> => (await sendCallback(service.url, id, "look")).status;
  expect(await asked("before")).toBe(200);
  const before = residentMiB(service);

  for (const [name, frames] of [
    ["rapid reset of RPCs", resets(rpc)],
    ["rapid reset of other requests", resets(page)],
    ["CONTINUATION", continuations],
    ["empty DATA", emptyData],
    ["header bomb", bombs],
  ] as const) {
    const socket = net.connect(Number(port), "127.0.0.1");
    let answer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => (answer = Buffer.concat([answer, chunk])));
    socket.on("error", () => {});
    socket.write(Buffer.concat([hello, ...frames]));
    await until(
      `${name}: it is stopped`,
      () => socket.destroyed || framesIn(answer).some(({ type }) => type === 3 || type === 7),
    );
    expect([name, await asked(name)]).toEqual([name, 200]);
    socket.destroy();
  }

  expect(other.destroyed).toBe(false);
  const ping = await new Promise<Error | null>((resolve) => other.ping(resolve));
  expect(ping).toBeNull();
  other.close();
  expect((await get(`${service.url}/readyz`)).status).toBe(200);
  expect(residentMiB(service) - before).toBeLessThan(64);
}, 60_000);
