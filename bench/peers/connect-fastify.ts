// Peer: ExecuteTool on plain connect-fastify, with minimal work.
import { create, fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import fastify from "fastify";
import type { AddressInfo } from "node:net";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { executeByHand } from "./executor-by-hand.ts";
import { ready } from "./ready.ts";

const app = fastify();
await app.register(fastifyConnectPlugin, {
  routes: (router) =>
    router.service(ToolExecutor, {
      executeTool({ call }) {
        const args = call?.input.value;
        const result = executeByHand({ id: call?.id ?? "", name: call?.name ?? "", args }, (json) =>
          fromJson(ValueSchema, json),
        );
        return { result: create(ToolResultSchema, result) };
      },
    }),
});
await app.listen({ host: "127.0.0.1", port: 0 });
ready((app.server.address() as AddressInfo).port);
