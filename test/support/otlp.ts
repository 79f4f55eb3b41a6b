import { startReceiver } from "./receiver.ts";
import type { Receiver } from "./receiver.ts";

/** A span as received. */
export interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

/** A receiver of OTLP over HTTP with protobuf bodies. */
export interface OtlpReceiver extends Receiver {
  spans(): WireSpan[];
  /** Returns all received bytes as text. */
  everything(): string;
}

/** Starts a receiver of traces and metrics. */
export async function startOtlp(): Promise<OtlpReceiver> {
  const receiver = await startReceiver(() => ({ headers: { "content-type": "application/x-protobuf" }, body: "" }));
  return {
    ...receiver,
    spans: () => receiver.received.filter(({ path }) => path === "/v1/traces").flatMap(({ body }) => spansOf(body)),
    everything: () =>
      receiver.received.map(({ body, headers }) => body.toString("latin1") + JSON.stringify(headers)).join("\n"),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

type Field = { readonly number: number; readonly bytes: Buffer; readonly integer: number };

/** Parses the fields of a protobuf message: the bytes of fields with a length or of eight bytes, the number of all others. */
function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) fields.push({ number, bytes: Buffer.alloc(0), integer: varint() });
    else {
      const length = type === 2 ? varint() : type === 1 ? 8 : 4;
      fields.push({ number, bytes: message.subarray(at, at + length), integer: 0 });
      at += length;
    }
  }
  return fields;
}

function inside(message: Buffer, number: number): Buffer[] {
  return fieldsOf(message)
    .filter((field) => field.number === number)
    .map(({ bytes }) => bytes);
}

function spansOf(body: Buffer): WireSpan[] {
  return inside(body, 1)
    .flatMap((resource) => inside(resource, 2))
    .flatMap((scope) => inside(scope, 2))
    .map(spanOf);
}

function spanOf(bytes: Buffer): WireSpan {
  const hex = (number: number): string => inside(bytes, number)[0]?.toString("hex") ?? "";
  const status = fieldsOf(inside(bytes, 15)[0] ?? Buffer.alloc(0)).find(({ number }) => number === 3)?.integer ?? 0;
  return {
    traceId: hex(1),
    spanId: hex(2),
    parentId: hex(4),
    name: inside(bytes, 5)[0]?.toString("utf8") ?? "",
    status,
    attributes: Object.fromEntries(inside(bytes, 9).map(attributeOf)),
  };
}

function attributeOf(bytes: Buffer): [string, string | number | boolean] {
  const key = inside(bytes, 1)[0]?.toString("utf8") ?? "";
  const value = fieldsOf(inside(bytes, 2)[0] ?? Buffer.alloc(0))[0];
  if (value === undefined) return [key, ""];
  if (value.number === 1) return [key, value.bytes.toString("utf8")];
  if (value.number === 2) return [key, value.integer === 1];
  return [key, value.number === 4 ? value.bytes.readDoubleLE() : value.integer];
}
