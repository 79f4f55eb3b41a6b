import { createInterface } from "node:readline";
import { exit } from "./exit.ts";
import { createMcpRelay } from "./mcp-relay.ts";
import type { AddCommand } from "./session.ts";

/** `jackfield mcp`: serves the tools to an MCP host that starts its servers itself. */
export const addMcp: AddCommand = (program, open) => {
  program
    .command("mcp")
    .description("Speak MCP over stdin and stdout, with its own tools or, with --url, those of a running service.")
    .addHelpText(
      "after",
      `
A JSON message per line; nothing else is written to stdout. Logs go to stderr. At the end of the input, running
calls are finished.

Examples:
  jackfield mcp                                              the tools of jackfield.yaml, in this process
  jackfield --url https://tools.example.com --key s3cret mcp those of a running service, as its caller
`,
    )
    .action(async (_options, command) => {
      const session = open(command);
      const { stdin, stdout } = session.host;
      const write = (line: string): void => void stdout.write(`${line}\n`);
      const server =
        session.givenUrl === undefined
          ? await session.host.mcp(write)
          : createMcpRelay({ url: session.givenUrl, key: session.key, write });
      for await (const line of createInterface({ input: stdin, crlfDelay: Infinity })) server.receive(line);
      await server.end();
      session.finish(exit.done);
    });
};
