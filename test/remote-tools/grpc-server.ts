import { createServer as createHttp2Server } from "node:http2";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";

/** A target at an address. */
export const grpcTo = (address: string, tls = false) => ({
  target: { case: "grpc" as const, value: { address, tls } },
});

/** A gRPC server that implements ToolPlugin. */
export const startPlugin = (implementation: Partial<ServiceImpl<typeof ToolPlugin>>): Promise<string> =>
  startServer(connectNodeAdapter({ routes: (router) => void router.service(ToolPlugin, implementation) }));

/** An HTTP/2 server of the test. Returns its address. */
export async function startServer(
  listener: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
): Promise<string> {
  const server = createHttp2Server(listener);
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => void sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A frame of gRPC with a message of this many bytes. */
export function frameOf(size: number): Buffer {
  const frame = Buffer.alloc(5 + size);
  frame.writeUInt32BE(size, 1);
  return frame;
}
