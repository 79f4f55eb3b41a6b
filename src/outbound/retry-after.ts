import { longestTimerMs } from "./wait.ts";

const day = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const month = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const imfDate = `${day}, \\d{2} ${month} \\d{4} \\d{2}:\\d{2}:\\d{2} GMT`;
const rfc850Date = `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \\d{2}-${month}-\\d{2} \\d{2}:\\d{2}:\\d{2} GMT`;
const asctimeDate = `${day} ${month} [ \\d]\\d \\d{2}:\\d{2}:\\d{2} \\d{4}`;
const item = `${imfDate}|${rfc850Date}|${asctimeDate}|\\d+(?:\\.\\d+)?`;
const items = new RegExp(item, "g");
const list = new RegExp(`^(?:${item})(?:\\s*,\\s*(?:${item}))*$`);

/**
 * Milliseconds that a `Retry-After` value asks to wait: seconds or an HTTP date in any of its three forms, at least 0 and
 * at most what a timer can hold. Undefined for anything else, so also for negative numbers. Of a repeated header, joined
 * by commas, the longest counts. Source: RFC 9110, section 10.2.3.
 */
export function retryAfterMs(value: string | undefined, nowMs: number = Date.now()): number | undefined {
  const text = value?.trim();
  // The length bound keeps a hostile header cheap.
  if (!text || text.length > 512 || !list.test(text)) return undefined;
  const waits = (text.match(items) ?? []).map((found) => itemMs(found, nowMs)).filter((ms) => !Number.isNaN(ms));
  if (waits.length === 0) return undefined;
  return Math.min(Math.max(0, ...waits), longestTimerMs);
}

function itemMs(text: string, nowMs: number): number {
  if (/^\d/.test(text)) return Number(text) * 1000;
  // asctime names no zone and means GMT; Date.parse would read it as local time.
  return Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) - nowMs;
}
