import type { SimReport } from "./tally.ts";

/** Maximum number of broken promises that are listed individually. */
const maxFaults = 20;

/** Formats the report for people, one line per fact. */
export function reportLines(report: SimReport, received: boolean): string[] {
  const { sent, statuses, latencyMs, deliveries, faults } = report;
  const lines = [
    `Sent       ${sent.runs} runs, ${sent.gateway} gateway requests, ${sent.callbacks} callbacks`,
    `Answers    ${Object.entries(statuses)
      .map(([status, count]) => `${count} × ${status === "0" ? "none" : status}`)
      .join(", ")}`,
    ...Object.entries(latencyMs).map(
      ([entryPoint, { p50, p99, max }]) =>
        `Latency    ${entryPoint}: half within ${p50} ms, 99 % within ${p99} ms, longest ${max} ms`,
    ),
  ];
  if (received) {
    const kinds = Object.entries(deliveries)
      .map(([kind, count]) => `${count} × ${kind}`)
      .join(", ");
    lines.push(
      `Deliveries ${kinds === "" ? "none" : kinds}`,
      `Runs       ${report.acknowledged} acknowledged, ${report.delivered} delivered, ${report.refused} refused for good, ${report.repeated} delivered again`,
    );
  }
  if (report.toolFailures > 0)
    lines.push(`Tools      ${report.toolFailures} answers say that a tool failed: see the service's log`);
  const shown = faults.slice(0, maxFaults);
  lines.push(...shown.map((fault) => `Broken     ${fault}`));
  if (faults.length > shown.length)
    lines.push(`Broken     … and ${faults.length - shown.length} more: --json lists all`);
  lines.push(faults.length === 0 ? "Verdict    every promise was kept" : `Verdict    ${faults.length} broken promises`);
  return lines;
}

/** Returns a hint for the case that acknowledged batches were delivered elsewhere. */
export function deliveredElsewhere(url: string): string {
  return (
    `No delivery came to ${url}: the service delivers to somebody else. Start it with GENESYS_API_BASE_URL=${url}, ` +
    "GENESYS_CLIENT_ID=sim and GENESYS_CLIENT_SECRET=sim, or give --no-receive."
  );
}
