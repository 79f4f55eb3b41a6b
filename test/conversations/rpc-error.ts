import { ConnectError } from "@connectrpc/connect";

export async function rpcError(promise: Promise<unknown>): Promise<ConnectError> {
  try {
    await promise;
  } catch (reason) {
    return ConnectError.from(reason);
  }
  throw new Error("expected an error");
}
