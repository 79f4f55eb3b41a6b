// The limit of gRPC on Node: ExecuteTool on bare node:http2 with protobuf-es.
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, fromJson, toBinary } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { ExecuteToolRequestSchema, ExecuteToolResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { executeByHand } from "./executor-by-hand.ts";
import { ready } from "./ready.ts";

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream) => {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => {
    const { call } = fromBinary(ExecuteToolRequestSchema, Buffer.concat(chunks).subarray(5));
    const args: unknown = JSON.parse((call?.input.value ?? "{}") as string);
    const result = executeByHand({ id: call?.id ?? "", name: call?.name ?? "", args }, (json) =>
      fromJson(ValueSchema, json),
    );
    const message = toBinary(
      ExecuteToolResponseSchema,
      create(ExecuteToolResponseSchema, { result: create(ToolResultSchema, result) }),
    );
    const body = Buffer.allocUnsafe(message.length + 5);
    body[0] = 0;
    body.writeUInt32BE(message.length, 1);
    body.set(message, 5);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(body);
  });
});
server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
