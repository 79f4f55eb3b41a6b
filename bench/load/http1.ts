import { once } from "node:events";
import { connect } from "node:net";
import type { Connection, Target } from "./load.ts";

const headEnd = Buffer.from("\r\n\r\n");
const lastChunk = Buffer.from("\r\n0\r\n\r\n");

/** Opens an HTTP/1.1 connection with one request at a time. It supports only this load, to use little time per request. */
export async function openHttp1(target: Target): Promise<Connection> {
  const socket = connect({ port: target.port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const headers = Object.entries(target.headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
  const head = `POST ${target.path} HTTP/1.1\r\nhost: 127.0.0.1:${target.port}\r\n${headers}content-length: `;
  let answered: ((good: boolean) => void) | undefined;
  let received: Buffer | undefined;

  socket.on("data", (chunk: Buffer) => {
    const bytes = received === undefined ? chunk : Buffer.concat([received, chunk]);
    if (!isWhole(bytes)) {
      received = bytes;
      return;
    }
    received = undefined;
    // "HTTP/1.1 2…": the tenth byte is the class of the status.
    const good = bytes[9] === 0x32 && bytes.includes(target.marker);
    const done = answered;
    answered = undefined;
    done?.(good);
  });
  const broken = (): void => {
    const done = answered;
    answered = undefined;
    done?.(false);
  };
  socket.on("error", () => {});
  return {
    request(body, onAnswer) {
      answered = onAnswer;
      if (socket.destroyed) return void setTimeout(broken, 10);
      socket.write(`${head}${body.length}\r\n\r\n${body.toString("latin1")}`, "latin1");
    },
    close: () => void socket.destroy(),
  };
}

function isWhole(bytes: Buffer): boolean {
  const end = bytes.indexOf(headEnd);
  if (end < 0) return false;
  const head = bytes.toString("latin1", 0, end);
  const at = head.search(/content-length: /i);
  if (at < 0) return bytes.includes(lastChunk, end);
  return bytes.length >= end + 4 + Number.parseInt(head.slice(at + 16), 10);
}
