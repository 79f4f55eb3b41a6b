import * as http2 from "node:http2";
import type { ServiceImplSpec } from "@connectrpc/connect";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { exchange1, exchange2, type RawAnswer, type RawRequest } from "./raw-exchange.ts";
import { openListener, serve, stockListener } from "./rpc-kit.ts";

/** Our listener and Connect's own, for the same services. */
export interface BothListeners extends AsyncDisposable {
  /** Sends a request to both. Returns our answer and Connect's. */
  send(request: RawRequest, version: 1 | 2): Promise<[ours: RawAnswer, theirs: RawAnswer]>;
  /** Sends a request to ours alone. */
  sendToOurs(request: RawRequest, version: 1 | 2): Promise<RawAnswer>;
}

/** Starts both listeners, without authentication, for both HTTP versions. */
export async function startBothListeners(
  services: readonly ServiceImplSpec[],
  telemetry: Telemetry,
  readMaxBytes: number,
): Promise<BothListeners> {
  const ours = await serve(await openListener(services, telemetry, readMaxBytes));
  const stock = await serve(stockListener(services, telemetry, readMaxBytes));
  const [ourSession, stockSession] = [http2.connect(ours.url2), http2.connect(stock.url2)];
  const sendToOurs = (request: RawRequest, version: 1 | 2): Promise<RawAnswer> =>
    version === 1 ? exchange1(ours.url1, request) : exchange2(ourSession, request);
  return {
    send: (request, version) =>
      Promise.all([
        sendToOurs(request, version),
        version === 1 ? exchange1(stock.url1, request) : exchange2(stockSession, request),
      ]),
    sendToOurs,
    async [Symbol.asyncDispose]() {
      ourSession.close();
      stockSession.close();
      await ours[Symbol.asyncDispose]();
      await stock[Symbol.asyncDispose]();
    },
  };
}
