/** The first bytes of an HTTP/2 client with prior knowledge, with empty SETTINGS. */
export const hello = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0))]);

/** Encodes one frame, by its numbers in RFC 9113. */
export function frame(type: number, flags: number, stream: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUIntBE(body.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  return Buffer.concat([bytes, body]);
}

/** Parses the frames of a server. */
export function framesIn(bytes: Buffer): { type: number; stream: number; body: Buffer }[] {
  const found: { type: number; stream: number; body: Buffer }[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    found.push({
      type: bytes[at + 3] ?? 0,
      stream: bytes.readUInt32BE(at + 5),
      body: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return found;
}

/** Encodes a header block without dynamic table: `:method POST`, `:scheme http`, path and authority, and more as literals. */
export function headerBlock(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const literal = (name: Buffer, value: string): Buffer =>
    Buffer.concat([name, Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat([
    Buffer.from([0x83, 0x86]),
    literal(Buffer.from([0x04]), path),
    literal(Buffer.from([0x01]), "localhost"),
    ...Object.entries(more).map(([name, value]) =>
      literal(Buffer.concat([Buffer.from([0x00, name.length]), Buffer.from(name)]), value),
    ),
  ]);
}
