import { rpcErrors } from "../errors.ts";
import { headerOf, pathOf, writeHead, endWith, type WireRequest, type WireResponse } from "./fast-path/wire-request.ts";

/** Answers a call of a method that does not exist, in its own protocol: unimplemented. */
export function refuseMethod(request: WireRequest, response: WireResponse): void {
  request.resume();
  const message = rpcErrors.unimplemented[1].replace("{}", () => pathOf(request).slice(1));
  const type = headerOf(request, "content-type") ?? "";
  if (!type.startsWith("application/grpc")) {
    writeHead(response, 404, { "content-type": "application/json" });
    return endWith(response, JSON.stringify({ code: "unimplemented", message }));
  }
  const status = { "grpc-status": "12", "grpc-message": message.replaceAll(/[^ -$&-~]/gu, encodeSign) };
  if (type.startsWith("application/grpc-web") || request.httpVersionMajor < 2) {
    writeHead(response, 200, { "content-type": type, ...status });
  } else {
    // DANGER: in headers the status only counts when they end the stream, which node's response cannot be told.
    writeHead(response, 200, { "content-type": type });
    response.addTrailers(status);
  }
  response.end();
}

function encodeSign(sign: string): string {
  return encodeURIComponent(sign.toWellFormed());
}
