/** Initial size of the buffer, and maximum size of a buffer that is kept for the next message, in bytes. */
const usualBytes = 4096;
const maxKeptBytes = 262_144;

/**
 * A buffer that is filled from its end. The length of a part is known when its head is written, so written bytes never
 * move. One buffer serves one message after the other. Formats are protobuf's.
 */
export class BackwardBuffer {
  #bytes = Buffer.allocUnsafe(usualBytes);
  #at = usualBytes;

  /** Number of bytes written. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** Starts a new message. */
  clear(): void {
    if (this.#bytes.length > maxKeptBytes) this.#bytes = Buffer.allocUnsafe(usualBytes);
    this.#at = this.#bytes.length;
  }

  /** Returns a copy of the written bytes, after `headBytes` unspecified bytes. */
  copy(headBytes: number): Buffer {
    const start = this.#reserve(headBytes);
    return Buffer.from(this.#bytes.subarray(start));
  }

  /** Writes an integer from 0 to 2^32 - 1. */
  varint(value: number): void {
    if (value < 0x80) {
      // Not in the same statement: reserving may replace the buffer.
      const index = this.#reserve(1);
      this.#bytes[index] = value;
      return;
    }
    let index = this.#reserve(value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5);
    for (; value > 0x7f; value >>>= 7) this.#bytes[index++] = (value & 0x7f) | 0x80;
    this.#bytes[index] = value;
  }

  /** Writes an integer of 64 bits, negative ones as their two's complement. */
  bigVarint(value: bigint): void {
    const groups: number[] = [];
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) groups.push(Number(rest & 0x7fn) | 0x80);
    groups.push(Number(rest));
    const index = this.#reserve(groups.length);
    this.#bytes.set(groups, index);
  }

  double(value: number): void {
    const index = this.#reserve(8);
    this.#bytes.writeDoubleLE(value, index);
  }

  /** Writes a text in UTF-8, preceded by its length. */
  string(text: string): void {
    const size = Buffer.byteLength(text);
    const index = this.#reserve(size);
    this.#bytes.write(text, index, size);
    this.varint(size);
  }

  /** Makes room in front of the written bytes, and returns its offset. */
  #reserve(count: number): number {
    if (count > this.#at) {
      const used = this.length;
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, used + count));
      this.#bytes.copy(larger, larger.length - used, this.#at);
      this.#at = larger.length - used;
      this.#bytes = larger;
    }
    return (this.#at -= count);
  }
}
