/** Tells whoever started this process that it listens. */
export function ready(port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`);
}
