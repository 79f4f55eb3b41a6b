// Receives what the service sends: spans and metrics by OTLP, requests for tokens, deliveries to the platform.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ready } from "./ready.ts";

const token = JSON.stringify({ access_token: "token", token_type: "bearer", expires_in: 86_400 });
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const body = request.url === "/oauth/token" ? token : request.url?.startsWith("/v1/") === true ? "" : "{}";
    response.writeHead(200, {
      "content-type": body === "" ? "application/x-protobuf" : "application/json",
      "content-length": body.length,
    });
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
