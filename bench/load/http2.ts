import { once } from "node:events";
import { connect } from "node:net";
import type { Connection, Target } from "./load.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const kind = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const endStream = 1;
const endHeaders = 4;
const widestWindow = 2 ** 30;

/**
 * Opens an HTTP/2 connection that writes its frames itself: a client library costs as much per call as the servers under
 * test. Header fields are indexed in the first request and referred to afterwards, as real clients do.
 */
export async function openHttp2(target: Target): Promise<Connection> {
  const socket = connect({ port: target.port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(widestWindow, 2);
  const update = Buffer.alloc(4);
  update.writeUInt32BE(widestWindow, 0);
  socket.write(Buffer.concat([preface, frame(kind.settings, 0, 0, settings), frame(kind.windowUpdate, 0, 0, update)]));

  const [first, later] = headerBlocks(target);
  const waiting = new Map<number, { answered: (good: boolean) => void; good: boolean }>();
  let nextStream = 1;
  let rest: Buffer | undefined;
  let out: Buffer[] = [];
  const flush = (): void => {
    const bytes = out.length === 1 ? out[0]! : Buffer.concat(out);
    out = [];
    if (!socket.destroyed) socket.write(bytes);
  };
  const send = (bytes: Buffer): void => {
    if (out.push(bytes) === 1) process.nextTick(flush);
  };

  function receive(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === kind.settings && (flags & 1) === 0) return send(frame(kind.settings, 1, 0, Buffer.alloc(0)));
    if (type === kind.ping && (flags & 1) === 0) return send(frame(kind.ping, 1, 0, payload));
    const call = waiting.get(stream);
    if (call === undefined) return;
    if (type === kind.data) call.good ||= payload.includes(target.marker);
    if (type !== kind.reset && ((type !== kind.data && type !== kind.headers) || (flags & endStream) === 0)) return;
    waiting.delete(stream);
    call.answered(type !== kind.reset && call.good);
  }

  socket.on("data", (chunk: Buffer) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    let offset = 0;
    while (bytes.length - offset >= 9) {
      const length = bytes.readUIntBE(offset, 3);
      if (bytes.length - offset - 9 < length) break;
      const payload = bytes.subarray(offset + 9, offset + 9 + length);
      receive(bytes[offset + 3]!, bytes[offset + 4]!, bytes.readUInt32BE(offset + 5) & 0x7fffffff, payload);
      offset += 9 + length;
    }
    rest = offset < bytes.length ? bytes.subarray(offset) : undefined;
  });
  socket.on("error", () => {});
  return {
    request(body, answered) {
      const stream = nextStream;
      nextStream += 2;
      waiting.set(stream, { answered, good: false });
      send(frame(kind.headers, endHeaders, stream, stream === 1 ? first : later));
      send(frame(kind.data, endStream, stream, body));
    },
    close: () => void socket.destroy(),
  };
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** Returns the header block of a connection's first request, and that of all others (RFC 7541, sections 6.1 and 6.2.1). */
function headerBlocks(target: Target): [Buffer, Buffer] {
  const post = 0x83;
  const http = 0x86;
  const fields = Object.entries({ ":path": target.path, ":authority": `127.0.0.1:${target.port}`, ...target.headers });
  const literals = fields.map(([name, value]) => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]));
  const references = fields.map((_field, index) => 0x80 | (62 + fields.length - 1 - index));
  return [Buffer.concat([Buffer.from([post, http]), ...literals]), Buffer.from([post, http, ...references])];
}

function text(value: string): Buffer {
  if (value.length > 126) throw new RangeError("a header of the load is too long");
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}
