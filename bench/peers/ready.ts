/** Reports to the parent process that this one listens. */
export function ready(port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`);
}
