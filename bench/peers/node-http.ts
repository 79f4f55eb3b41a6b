// The limit of HTTP/1.1 on Node: the Cognigy callback on bare node:http.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ready } from "./ready.ts";
import { createSearch } from "./search.ts";

const search = createSearch();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { tool_call_id: id, arguments: args } = JSON.parse(Buffer.concat(chunks).toString()) as {
      tool_call_id: string;
      arguments: unknown;
    };
    const body = JSON.stringify({ tool_call_id: id, output: JSON.stringify(search(args)) });
    response.writeHead(200, {
      "content-type": "application/json; charset=utf-8",
      "content-length": Buffer.byteLength(body),
    });
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
