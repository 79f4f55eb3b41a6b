import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";

const keys = "crm:crm-key,reader:read-key:tools:read,runner:run-key:tools:execute";

/** Starts a service with a page size of 2, three tools, and callers with different scopes. */
export function startMcpService(): Promise<ServiceUnderTest> {
  return startService({
    env: { JACKFIELD_API_KEYS: keys, JACKFIELD_ALLOWED_HOSTS: "tools.example.com" },
    yaml: {
      adapters: { mcp: { pageSize: 2, instructions: "Ask first.", allowedOrigins: ["https://app.example.com"] } },
      callers: [{ name: "narrow", keys: ["narrow-key"], tools: ["echo"], scopes: ["tools:execute", "tools:read"] }],
    },
    plugins: [{ use: testTool("echo") }, { use: testTool("nap") }, { use: testTool("odd") }],
  });
}
