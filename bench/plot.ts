import type { Result } from "./report.ts";
import { median, type Ratio } from "./row.ts";

const width = 860;
const labelWidth = 440;
const rowHeight = 26;
const farthest = 3;

/** Draws the ratios and their goals as SVG: a bar per ratio, its spread, and the goal as a line. Right of the line is good. */
export function resultsPlot(results: readonly Result[]): string {
  const rows = results.flatMap(({ measured }) => measured.ratios.filter(({ goal }) => goal !== undefined));
  const height = 70 + rows.length * rowHeight;
  const scale = (share: number): number =>
    labelWidth + (Math.min(share, farthest) / farthest) * (width - labelWidth - 60);
  const goalAt = scale(1);
  const bars = rows.map((row, index) => bar(row, 50 + index * rowHeight, scale));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    '<text x="12" y="22" font-size="15" font-weight="600" fill="#1f2937">How far above its goal each ratio is (goal = 1, longer is better)</text>',
    ...bars,
    `<line x1="${goalAt}" x2="${goalAt}" y1="36" y2="${height - 16}" stroke="#111827" stroke-dasharray="4 3"/>`,
    `<text x="${goalAt}" y="${height - 4}" text-anchor="middle" fill="#111827">goal</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function bar({ name, values, goal = 1, atMost }: Ratio, y: number, scale: (share: number) => number): string {
  const share = (value: number): number => (atMost === true ? goal / value : value / goal);
  const shares = values.map(share).filter((value) => Number.isFinite(value) && value > 0);
  if (shares.length === 0) return "";
  const middle = median(shares);
  const fill = middle >= 1 ? "#2f855a" : "#c05621";
  const end = scale(middle);
  const low = scale(Math.min(...shares));
  const high = scale(Math.max(...shares));
  const text = `${median(values).toFixed(2)} (${atMost === true ? "≤" : "≥"} ${goal})`;
  return [
    `<text x="${labelWidth - 8}" y="${y + 12}" text-anchor="end" fill="#1f2937">${escape(`${name}: ${text}`)}</text>`,
    `<rect x="${labelWidth}" y="${y}" width="${Math.max(1, end - labelWidth).toFixed(1)}" height="16" fill="${fill}"/>`,
    `<line x1="${low.toFixed(1)}" x2="${high.toFixed(1)}" y1="${y + 8}" y2="${y + 8}" stroke="#111827" stroke-width="2"/>`,
    middle > farthest ? `<text x="${end + 6}" y="${y + 12}" fill="#1f2937">${middle.toFixed(1)} ×</text>` : "",
  ].join("");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
