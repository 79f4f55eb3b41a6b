import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../support/free-port.ts";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { startService } from "../../support/service.ts";
import { fixtureTools } from "./fixture-tools.ts";

/** Starts a service with the tools of the official suite. `mcp`: settings of the adapter. */
export async function startFixtureService(mcp: Readonly<Record<string, unknown>> = {}) {
  const folder = scratchFolder("jackfield-fixtures");
  const port = await freePort();
  const source = join(import.meta.dirname, "fixture-tools.ts");
  const plugins = Object.keys(fixtureTools).map((name) => {
    const use = join(folder.path, `${name}.ts`);
    writeFileSync(
      use,
      `import { fixtureTools } from ${JSON.stringify(source)};\nexport default fixtureTools.${name};\n`,
    );
    return name === "test_trigger_tool_change" ? { use, config: { baseUrl: `http://127.0.0.1:${port}` } } : { use };
  });
  const service = await startService({ env: { PORT: String(port) }, yaml: { adapters: { mcp } }, plugins });
  return {
    url: service.url,
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}
