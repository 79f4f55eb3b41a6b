// Calls tools from a TypeScript program: `node client.ts [URL] [ORDER]`.
import { createJackfieldClient, Outcome } from "@jackfield/client";

const [url = "http://127.0.0.1:8080", order = "ORD-1001"] = process.argv.slice(2);
const { executor } = createJackfieldClient({ baseUrl: url, apiKey: process.env["JACKFIELD_API_KEY"] });

const { tools } = await executor.listTools({});
console.log(`${tools.length} tools: ${tools.map(({ name }) => name).join(", ")}`);

// One call. The id and the conversation make it one call however often it is sent: the second answer is the stored one.
const call = {
  id: "order-status-1",
  name: "get_order_status",
  input: { case: "arguments", value: { order_id: order } },
} as const;
const context = { conversationId: `conversation-${process.pid}` };
for (const attempt of ["first", "second"]) {
  const { result } = await executor.executeTool({ call, context });
  console.log(`${attempt}: ${result?.output} (replayed: ${result?.replayed})`);
}

// Several calls at once, answered as they end. An answer other than OK is no exception: the model should read it.
const ids = [order, "ORD-9999"];
const calls = ids.map((id) => ({ ...call, id, input: { case: "arguments", value: { order_id: id } } }) as const);
for await (const { event } of executor.executeTools({ calls, context })) {
  if (event.case === "result") {
    const { callId, outcome, error } = event.value;
    console.log(`${callId}: ${outcome === Outcome.OK ? "OK" : error?.message}`);
  }
  if (event.case === "done") console.log(`${event.value.results.length} results`);
}
