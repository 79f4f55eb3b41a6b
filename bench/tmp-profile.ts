import { startService } from "./service.ts";
import { startProgram } from "./program.ts";
import { scratchFolder } from "./scratch.ts";
import { cognigyTarget, grpcTarget, connectTarget, acceptTarget } from "./targets.ts";
import { closedLoop, createNumbers } from "./load/load.ts";
import { inFlight } from "./row.ts";
const [which = "cognigy", prof = ""] = process.argv.slice(2);
const t = { cognigy: cognigyTarget, grpc: grpcTarget, connect: connectTarget, accept: acceptTarget, write: (p: number) => cognigyTarget(p, "write_inventory") }[which]!;
using folder = scratchFolder();
await using sink = await startProgram("bench/peers/sink.ts", { core: 1 });
await using service = await startService({ core: 0, folder: folder.path, sink: `http://127.0.0.1:${sink.port}`, nodeArgs: prof ? prof.startsWith("--") ? prof.split(" ") : ["--cpu-prof", "--cpu-prof-interval=300", `--cpu-prof-dir=${prof}`] : [] });
const target = t(service.port);
for (let i = 0; i < 4; i++) {
  const r = await closedLoop(target, { ...inFlight[target.protocol], seconds: 3, warmSeconds: 1, number: createNumbers(), cpuSeconds: () => service.cpuSeconds() });
  console.log(which, Math.round(r.perSecond), r.cpuMicros.toFixed(1), "bad", r.bad);
}
