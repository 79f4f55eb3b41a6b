import { callsFrom } from "./scripted-calls.ts";
import { hashOf } from "./random.ts";

/** A message of a conversation in OpenAI's format. */
export interface ModelMessage {
  readonly role: string;
  readonly content?: string | null;
  readonly tool_calls?: readonly ModelToolCall[];
  readonly tool_call_id?: string;
}

/** A tool call in OpenAI's format. */
export interface ModelToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A request to the model. */
export interface ModelRequest {
  readonly model: string;
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly { readonly function?: { readonly name?: string } }[];
}

/**
 * One turn of a scripted model: it requests all tools that fit the user's last message at once, and when their results
 * have arrived it answers with a sentence built from them.
 */
export function modelTurn({ messages, tools }: ModelRequest): ModelMessage {
  const lastUser = messages.findLastIndex((message) => message.role === "user");
  const text = messages[lastUser]?.content ?? "";
  const results = messages.slice(lastUser + 1).filter((message) => message.role === "tool");
  if (results.length > 0) {
    const names = namesById(messages);
    return assistantMessage(
      results.map((result) => sentence(names.get(result.tool_call_id ?? ""), result.content ?? "")).join(" "),
    );
  }
  const offered = new Set(tools.flatMap((tool) => tool.function?.name ?? []));
  const calls = callsFrom(text, offered);
  if (calls.length === 0) {
    return assistantMessage(
      "I can look up orders, tickets, balances, stock and the weather. What would you like to know?",
    );
  }
  const seed = hashOf(JSON.stringify(messages)).toString(16);
  return {
    role: "assistant",
    content: null,
    tool_calls: calls.map((call, index) => ({
      id: `call_${seed}_${index + 1}`,
      type: "function",
      function: { name: call.name, arguments: JSON.stringify(call.arguments) },
    })),
  };
}

function assistantMessage(content: string): ModelMessage {
  return { role: "assistant", content };
}

function namesById(messages: readonly ModelMessage[]): Map<string, string> {
  return new Map(
    messages.flatMap((message) =>
      (message.tool_calls ?? []).map((call): [string, string] => [call.id, call.function.name]),
    ),
  );
}

function sentence(name: string | undefined, content: string): string {
  const result = objectFrom(content);
  if (result === undefined || "error" in result) {
    return `I could not find that out: ${typeof result?.["error"] === "string" ? result["error"] : content}`;
  }
  const value = (key: string): string => String(result[key]);
  switch (name) {
    case "get_weather":
      return `In ${value("location")} it is ${value("temperature")} °${value("unit") === "fahrenheit" ? "F" : "C"}, ${value("condition")}.`;
    case "get_order_status":
      return `Order ${value("order_id")} is ${words(value("status"))}, expected ${value("estimated_delivery")}.`;
    case "update_ticket_priority":
      return `Ticket ${value("ticket_id")} now has priority ${value("priority")}.`;
    case "fetch_customer_balance":
      return `The balance of ${value("customer_id")} is ${value("balance")} ${value("currency")}.`;
    case "check_inventory":
      return `There are ${value("quantity")} units of ${value("product_id")} in ${value("warehouse")} (${words(value("status"))}).`;
    case "search_inventory":
      return typeof result["message"] === "string"
        ? result["message"]
        : `I found ${value("total")} matching item(s): ${JSON.stringify(result["items"])}.`;
    default:
      return `${name ?? "The tool"} answered ${content}.`;
  }
}

function objectFrom(content: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(content) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : { value };
  } catch {
    return content.startsWith("Error: ") ||
      content.startsWith("Execution error: ") ||
      content.startsWith("Tool execution ")
      ? undefined
      : { value: content };
  }
}

function words(status: string): string {
  return status.replaceAll("_", " ");
}
