import { startReceiver, type Receiver } from "../../support/receiver.ts";
import { startService, type ServiceUnderTest, testTool } from "../../support/service.ts";

/** A service without keys, one with keys of many scopes, and the downstream of their tool `book`. */
export interface ContractServices extends AsyncDisposable {
  readonly open: ServiceUnderTest;
  readonly closed: ServiceUnderTest;
  readonly seats: Receiver;
}

/** Starts the downstream of the tool `book`. */
export async function startSeats(): Promise<Receiver> {
  return await startReceiver(({ text }) => ({ body: { booked: (JSON.parse(text) as { seat: string }).seat } }));
}

export async function startContractServices(): Promise<ContractServices> {
  const seats = await startSeats();
  const plugins = [
    { use: "@jackfield/get-weather" },
    { use: testTool("echo") },
    { use: testTool("nap") },
    { use: testTool("book"), config: { baseUrl: seats.url } },
  ];
  const open = await startService({ plugins });
  const closed = await startService({
    plugins,
    yaml: {
      callers: [
        { name: "exec", keys: ["exec-key"], scopes: ["tools:execute"] },
        { name: "read", keys: ["read-key"], scopes: ["tools:read"] },
        { name: "register", keys: ["register-key"], scopes: ["tools:register"] },
        { name: "jobs-read", keys: ["jobs-read-key"], scopes: ["jobs:read"] },
        { name: "jobs-write", keys: ["jobs-write-key"], scopes: ["jobs:write"] },
        { name: "metrics", keys: ["metrics-key"], scopes: ["metrics:read"] },
        { name: "narrow", keys: ["narrow-key"], tools: ["get_*", "echo"] },
        { name: "a", tenant: "ta", keys: ["a-key", "a-key-2"], scopes: ["admin"] },
        { name: "b", tenant: "tb", keys: ["b-key"], scopes: ["admin"] },
      ],
    },
    env: { JACKFIELD_API_KEYS: "plain:plain-key,boss:boss-key:admin,two:two-key:tools:execute+calls:delegate" },
  });
  return {
    open,
    closed,
    seats,
    async [Symbol.asyncDispose]() {
      await open[Symbol.asyncDispose]();
      await closed[Symbol.asyncDispose]();
      await seats[Symbol.asyncDispose]();
    },
  };
}
