import { expect, test } from "vitest";
import { checkExposure } from "../../src/config/exposure.ts";
import { loadConfig } from "../../src/app/load-config.ts";
import { createHostCheck } from "../../src/server/request-filter.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

test.each(["localhost", "app.localhost", "127.0.0.1", "127.8.9.1", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"])(
  "HOST=%s starts without keys, and then checks the Host header (hazard 26)",
  (host) => {
    using folder = scratchFolder();
    const config = loadConfig({ env: { HOST: host }, cwd: folder.path });
    expect(checkExposure(config).problems).toEqual([]);
    const accepts = createHostCheck(host, ["jackfield.example"]);
    for (const good of ["localhost:8080", "127.0.0.1", "[::1]:8080", "app.localhost", "jackfield.example:1", undefined])
      expect([good, accepts(good)]).toEqual([good, true]);
    for (const foreign of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", "10.0.0.1", ""])
      expect([foreign, accepts(foreign)]).toEqual([foreign, false]);
  },
);

test("another HOST requires keys, and accepts every Host header", () => {
  expect(createHostCheck("0.0.0.0", [])("anything.example")).toBe(true);
});
