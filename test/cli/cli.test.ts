import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { ToolExecutor } from "../../src/client.ts";
import { deadPort } from "../outbound/downstream.ts";
import { jackfield, startConnect } from "./command-line.ts";

describe("the command line", () => {
  test("serves without a command, and exits with the service's exit code", async () => {
    expect(await jackfield([], { serve: async () => 130 })).toEqual({ code: 130, stdout: "", stderr: "" });
    expect(await jackfield(["serve"], { serve: async () => 0 })).toMatchObject({ code: 0 });
  });

  test("shows help with exit codes, global options and examples", async () => {
    const { code, stdout, stderr } = await jackfield(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const word of [
      "serve",
      "check",
      "tools",
      "call",
      "converse",
      "jobs",
      "audit",
      "new-tool",
      "Exit codes",
      "Examples:",
    ]) {
      expect(stdout).toContain(word);
    }
  });

  test.each(["serve", "check", "tools", "call", "converse", "jobs", "new-tool"])(
    "shows examples in the help of %s",
    async (name) => {
      const { code, stdout } = await jackfield([name, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`Examples:\\n {2}.*jackfield ${name}`));
      expect(stdout).toContain("--json");
    },
  );

  test("prints its version", async () => {
    expect(await jackfield(["--version"])).toEqual({ code: 0, stdout: "1.2.3\n", stderr: "" });
  });

  test.each([
    [["srve"], "unknown command 'srve'\n(Did you mean serve?)"],
    [["call"], "missing required argument 'NAME'"],
    [["call", "a", "{}", "more"], "too many arguments"],
    [["tools", "--jsn"], "unknown option '--jsn'"],
    [["call", "a", "--timeout", "soon"], "It must be a number of seconds"],
    [["jobs", "list", "--state", "lost"], "Allowed choices are accepted"],
    [["tools", "--url", "ftp://x"], "--url must be an http or https address"],
  ])("reports wrong usage %j with exit code 1, and the reason on stderr", async (argv, why) => {
    const { code, stdout, stderr } = await jackfield(argv);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(why);
  });

  test("reports a wrong configuration with exit code 1 and one sentence per problem", async () => {
    const serve = async () => {
      throw new ConfigError(['PORT must be a number; found "x".', "HOST must be a host name."]);
    };
    expect(await jackfield(["serve"], { serve })).toEqual({
      code: 1,
      stdout: "",
      stderr: 'PORT must be a number; found "x".\nHOST must be a host name.\n',
    });
  });

  test("reports an unreachable service with exit code 3 and what to do, without a stack", async () => {
    const url = `http://127.0.0.1:${await deadPort()}`;
    for (const argv of [["tools"], ["call", "x"], ["converse", "Hi"], ["jobs"]]) {
      const { code, stdout, stderr } = await jackfield([...argv, "--url", url]);
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toBe(
        `Jackfield cannot be reached at ${url} (ECONNREFUSED). Start it with \`jackfield serve\`, or name another address with --url.\n`,
      );
    }
  });

  test.each([
    [Code.Unauthenticated, "a key is needed", 1, "A key is needed. Give the key with --key or in JACKFIELD_API_KEY.\n"],
    [Code.PermissionDenied, "this caller lacks the scope tools:read", 1, "This caller lacks the scope tools:read.\n"],
    [Code.Unavailable, "the service is shutting down", 3, "The service is shutting down.\n"],
    [Code.Internal, "internal error", 2, "Internal error.\n"],
  ])("maps the service's error %i to an exit code for scripts", async (rpcCode, message, code, stderr) => {
    await using server = await startConnect(({ service }) =>
      service(ToolExecutor, {
        listTools() {
          throw new ConnectError(message, rpcCode);
        },
      }),
    );
    expect(await jackfield(["tools", "--url", server.url])).toEqual({ code, stdout: "", stderr });
  });

  test("finds the service by PORT and sends the key from the environment, or the given one", async () => {
    await using server = await startConnect(({ service }) => service(ToolExecutor, { listTools: () => ({}) }));
    const env = { PORT: String(server.port), JACKFIELD_API_KEY: "from-env" };
    expect(await jackfield(["tools"], { env })).toMatchObject({ code: 0, stderr: "No tool is available to you.\n" });
    await jackfield(["tools", "--key", "given"], { env });
    await jackfield(["tools"], { env: { PORT: env.PORT } });
    expect(server.keys).toEqual(["Bearer from-env", "Bearer given", undefined]);
  });

  test.each(["s3cret\nkey", "s3cret€", "s3cret\u0000"])("refuses a key that no header carries (%j)", async (key) => {
    const stderr =
      "The key must consist of printable ASCII characters; found others. It comes from --key or JACKFIELD_API_KEY.\n";
    for (const argv of [["tools"], ["mcp"]]) {
      const url = ["--url", "http://127.0.0.1:1"];
      expect(await jackfield([...argv, ...url, "--key", key])).toEqual({ code: 1, stdout: "", stderr });
      expect(await jackfield([...argv, ...url], { env: { JACKFIELD_API_KEY: key } })).toMatchObject({ stderr });
    }
    expect(await jackfield(["check"], { env: { JACKFIELD_API_KEY: key } })).toMatchObject({ code: 0 });
  });

  test("sends a key without the line break of its file", async () => {
    await using server = await startConnect(({ service }) => service(ToolExecutor, { listTools: () => ({}) }));
    await jackfield(["tools", "--url", server.url, "--key", "given\n"]);
    expect(server.keys).toEqual(["Bearer given"]);
  });
});

describe("check", () => {
  const report = {
    file: "/etc/jackfield.yaml",
    url: "http://127.0.0.1:9000",
    tools: [{ name: "get_weather", effect: "read", version: "0.1.0", use: "@jackfield/get-weather" }],
    notes: ["The sandbox plays the weather."],
  };

  test("reports what would be served", async () => {
    expect(await jackfield(["check"], { check: async () => report })).toEqual({
      code: 0,
      stdout:
        "Configuration: /etc/jackfield.yaml\nWould listen on http://127.0.0.1:9000 with 1 tool:\n" +
        "  get_weather  read  0.1.0  @jackfield/get-weather\n",
      stderr: "The sandbox plays the weather.\n",
    });
    const { stdout } = await jackfield(["check", "--json"], { check: async () => report });
    expect(JSON.parse(stdout)).toEqual(report);
  });

  test("reports problems and exits with 1", async () => {
    const check = async () => {
      throw new ConfigError(["plugins/0/use names no package."]);
    };
    expect(await jackfield(["check"], { check })).toEqual({
      code: 1,
      stdout: "",
      stderr: "plugins/0/use names no package.\n",
    });
  });
});
