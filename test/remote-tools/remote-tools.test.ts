import { createServer as createListener } from "node:net";
import type { AddressInfo } from "node:net";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import { RegisterToolRequestSchema } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import { compileTool } from "../../src/registry/compile-tool.ts";
import { storedRegistration } from "../../src/remote-tools/registration.ts";
import { plainSealer } from "../../src/store/sealer.ts";
import { aTool, caller, gate } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { embedded, httpTo, refusal, startReplica, startTarget, tool } from "./replica.ts";

describe("an HTTP target", () => {
  testRequirement(
    "002.1",
    "receives the arguments as JSON by POST with the key, and its JSON is the output",
    async () => {
      const target = await startTarget((body) => ({ body: { got: JSON.parse(body) as unknown } }));
      const app = await startReplica(await embedded());
      await app.register({ ...tool, effect: Effect.WRITE }, httpTo(target.url, { "X-Team": "blue" }));
      expect(await app.call({ a: 1 })).toMatchObject({ outcome: "OK", output: '{"got":{"a":1}}' });
      const [{ request }] = target.requests as [(typeof target.requests)[0]];
      expect(request.method).toBe("POST");
      expect(request.headers).toMatchObject({ "content-type": "application/json", "x-team": "blue" });
      expect(request.headers["idempotency-key"]).toMatch(/^\S{16,}$/);
    },
  );

  testRequirement("003.5", "can specify how its arguments are sanitised, and keeps that across a restart", async () => {
    const target = await startTarget((body) => ({ body: JSON.parse(body) as unknown }));
    const store = await embedded();
    const said = { a: "Müller #1" };
    {
      const app = await startReplica(store);
      await app.register(tool, httpTo(target.url));
      expect((await app.call(said)).output).toBe(JSON.stringify(said));
      await app.register(tool, httpTo(target.url), "strict");
      expect((await app.call(said)).output).toBe('{"a":"Mller 1"}');
      expect(await refusal(app.register(tool, httpTo(target.url), "lax"))).toMatchObject({
        code: Code.InvalidArgument,
        message: expect.stringContaining("strict, text or off"),
      });
      await app.close();
    }
    const again = await startReplica(store);
    expect((await again.call(said)).output).toBe('{"a":"Mller 1"}');
  });

  test("fails with the downstream's message if it answers with a status other than 2xx", async () => {
    const target = await startTarget(() => ({ status: 418, body: "short and stout" }));
    const app = await startReplica(await embedded());
    await app.register(tool, httpTo(target.url));
    expect(await app.call()).toMatchObject({ outcome: "FAILED", output: "External API returned 418: short and stout" });
  });

  test.each([
    [404, "FAILED", "External API returned 404: why"],
    [500, "UNCERTAIN", "It is not known whether this request took effect. Do not repeat it; check first."],
  ])("of a write that answers %d is %s", async (status, outcome, output) => {
    const target = await startTarget(() => ({ status, body: "why" }));
    const app = await startReplica(await embedded());
    await app.register({ ...tool, effect: Effect.WRITE }, httpTo(target.url));
    expect(await app.call()).toMatchObject({ outcome, output });
    expect(target.requests).toHaveLength(1);
  });

  test("never shows its headers again: in answers, in the log, or in lists", async () => {
    const secret = "s3cr3t-t0ken-value";
    const target = await startTarget((_, request) => ({ body: { echo: request.headers.authorization, bare: secret } }));
    const app = await startReplica(await embedded());
    const offered = await app.register(tool, httpTo(target.url, { Authorization: `Bearer ${secret}` }));
    expect((await app.call()).output).toBe('{"echo":"[secret]","bare":"[secret]"}');
    const listed = app.registry.list(caller.tenant).map(({ message, use }) => ({ message, use }));
    expect(
      app.log.join() +
        JSON.stringify([offered, listed], (_, value: unknown) => (typeof value === "bigint" ? "" : value)),
    ).not.toContain(secret);
  });

  test("rejects headers of the connection, and ones that no request can contain; the value is not quoted", async () => {
    const app = await startReplica(await embedded());
    for (const [name, value] of [
      ["Host", "x"],
      ["Content-Length", "1"],
      ["X-A", "hush\r\nX-B: 1"],
      ["a b", "hush"],
    ] as const) {
      const { code, message } = await refusal(app.register(tool, httpTo("https://example.com/", { [name]: value })));
      expect(code).toBe(Code.InvalidArgument);
      expect(message).not.toContain("hush");
    }
  });

  test("rejects a schema with a number that no list of tools could contain, and stays unlisted", async () => {
    const app = await startReplica(await embedded());
    for (const schema of ["inputSchema", "outputSchema"] as const) {
      const odd = { ...tool, [schema]: { type: "object", properties: { a: { maximum: Number.POSITIVE_INFINITY } } } };
      const { code, message } = await refusal(app.register(odd, httpTo("https://example.com/")));
      expect(code).toBe(Code.InvalidArgument);
      expect(message).toContain("its numbers must be finite");
    }
    expect([...app.registry.list(caller.tenant)]).toEqual([]);
  });

  test("rejects more than 32 headers or 8 KiB of them, and stores nothing", async () => {
    const app = await startReplica(await embedded());
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`x-${index}`, "v"]));
    for (const headers of [many, { "x-a": "v".repeat(8190) }, { "x-a": "v".repeat(48_000) }]) {
      const { code, message } = await refusal(app.register(tool, httpTo("https://example.com/", headers)));
      expect([code, message]).toEqual([
        Code.InvalidArgument,
        expect.stringContaining("target.http.headers may contain"),
      ]);
    }
    await app.register(tool, httpTo("https://example.com/", { "x-a": "v".repeat(8189) }));
  });

  testRequirement(
    "002.1",
    "at a private address is refused at registration, and the message names the variable that allows it",
    async () => {
      const listener = createListener(() => {
        throw new Error("a packet left");
      });
      await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void listener.close());
      const { port } = listener.address() as AddressInfo;
      const app = await startReplica(await embedded(), { privateAddresses: [] });
      for (const host of [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
      ]) {
        const { code, message } = await refusal(app.register(tool, httpTo(`http://${host}:${port}/`)));
        expect({ host, code }).toEqual({ host, code: Code.InvalidArgument });
        expect(message).toContain("JACKFIELD_PRIVATE_ADDRESSES");
      }
      expect(app.registry.list(caller.tenant)).toEqual([]);
    },
  );

  test("with a URL that is not http is refused", async () => {
    const app = await startReplica(await embedded());
    for (const url of ["", "nonsense", "file:///etc/passwd", "ftp://example.com/", "https://user:pass@example.com/"]) {
      expect(await refusal(app.register(tool, httpTo(url)))).toMatchObject({ code: Code.InvalidArgument });
    }
  });
});

describe("registration", () => {
  test("of the same tool replaces it, and the running call ends as it began", async () => {
    const held = gate();
    const first = await startTarget(async () => {
      await held.opened;
      return { body: '"first"' };
    });
    const second = await startTarget(() => ({ body: '"second"' }));
    const app = await startReplica(await embedded());
    await app.register(tool, httpTo(first.url));
    const running = app.call();
    await vi.waitFor(() => expect(first.requests).toHaveLength(1));
    await app.register({ ...tool, description: "Works better." }, httpTo(second.url));
    expect(await app.call()).toMatchObject({ outcome: "OK", output: "second" });
    held.open();
    expect(await running).toMatchObject({ outcome: "OK", output: "first" });
    expect(app.registry.list(caller.tenant).map(({ message }) => message.description)).toEqual(["Works better."]);
  });

  test("under the name of a configured plugin is refused with already_exists", async () => {
    const app = await startReplica(await embedded());
    const settings = {
      config: {},
      secretPaths: [],
      limits: {},
      sanitize: undefined,
      isolation: undefined,
      required: false,
      repeatWindowMs: undefined,
    };
    app.registry.put(
      compileTool(aTool({ execute: () => "own" }), settings, { use: "work", version: "1", bundled: false }),
    );
    expect(await refusal(app.register(tool, httpTo("https://example.com/")))).toMatchObject({
      code: Code.AlreadyExists,
    });
    expect((await app.call()).output).toBe("own");
    expect(await app.unregister("work")).toBe(false);
  });

  test("refuses arguments that are no object, and those that plain HTTP reads from headers, and says what to change", async () => {
    const app = await startReplica(await embedded());
    const refused = (inputSchema: JsonObject) =>
      refusal(app.register({ ...tool, inputSchema }, httpTo("https://example.com/")));
    expect(await refused({ type: "array" })).toEqual({
      code: Code.InvalidArgument,
      message:
        'inputSchema cannot be used: its type is "array", and arguments are always an object: write "object" or leave it out',
    });
    expect(
      await refused({ type: "object", properties: { jackfieldCallId: {}, jackfieldConversationId: {}, a: {} } }),
    ).toEqual({
      code: Code.InvalidArgument,
      message:
        "tool work must not have an argument jackfieldConversationId: it replaces a header at POST /tools/work. " +
        "tool work must not have an argument jackfieldCallId: it replaces a header at POST /tools/work.",
    });
    expect(app.registry.list(caller.tenant)).toEqual([]);
  });

  test("takes a schema without a type", async () => {
    const target = await startTarget((body) => ({ body: JSON.parse(body) as unknown }));
    const app = await startReplica(await embedded());
    await app.register({ ...tool, inputSchema: { properties: { a: { type: "string" } } } }, httpTo(target.url));
    expect(await app.call({ a: "x" })).toMatchObject({ outcome: "OK", output: '{"a":"x"}' });
    expect(await app.call({ a: 1 })).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
  });

  test("from before a rule about names of arguments is kept", async () => {
    const store = await embedded();
    const inputSchema = { type: "object", properties: { jackfieldCallId: {} } };
    const request = create(RegisterToolRequestSchema, {
      tool: { ...tool, inputSchema },
      target: httpTo("https://example.com/"),
    });
    await store.save(storedRegistration({ tenant: caller.tenant, owner: caller.name, request }, plainSealer));
    const app = await startReplica(store);
    expect(app.registry.list(caller.tenant)).toMatchObject([{ name: "work" }]);
  });

  test("can be withdrawn: the tool is unknown afterwards", async () => {
    const target = await startTarget(() => ({ body: 1 }));
    const app = await startReplica(await embedded());
    expect(await app.unregister("work")).toBe(false);
    await app.register(tool, httpTo(target.url));
    expect(await app.unregister("work")).toBe(true);
    expect(await app.call()).toMatchObject({ outcome: "UNKNOWN_TOOL" });
  });

  test("removes invisible characters from texts: zero-width and control characters, terminal codes; and logs that (hazard 48)", async () => {
    const app = await startReplica(await embedded());
    const inputSchema = { type: "object", properties: { a: { type: "string", description: "an\u200b id\u{e0041}" } } };
    const offered = await app.register(
      { ...tool, description: "\u001b[31mWorks\u001b[0m\u202e we\u200bll.\nReally.", inputSchema },
      httpTo("https://example.com/"),
    );
    expect(offered.description).toBe("Works well.\nReally.");
    expect(offered.inputSchema).toEqual({
      type: "object",
      properties: { a: { type: "string", description: "an id" } },
    });
    expect(app.log.join()).toContain("invisible characters");
  });
});
