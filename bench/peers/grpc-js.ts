// Peer for gRPC: ExecuteTool on @grpc/grpc-js, with minimal work.
import { loadPackageDefinition, Server, ServerCredentials } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall, ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { executeByHand, plainValue } from "./executor-by-hand.ts";
import { ready } from "./ready.ts";

interface Request {
  call: { id: string; name: string; argumentsJson: string };
}

const definition = loadSync("jackfield/v1/tool_executor.proto", { includeDirs: ["proto"], longs: Number });
const loaded = loadPackageDefinition(definition) as unknown as {
  jackfield: { v1: { ToolExecutor: ServiceClientConstructor } };
};
const server = new Server();
server.addService(loaded.jackfield.v1.ToolExecutor.service, {
  executeTool({ request }: ServerUnaryCall<Request, object>, answer: sendUnaryData<object>) {
    const { id, name, argumentsJson } = request.call;
    answer(null, { result: executeByHand({ id, name, args: JSON.parse(argumentsJson) }, plainValue) });
  },
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (fault, port) => {
  if (fault !== null) throw fault;
  ready(port);
});
