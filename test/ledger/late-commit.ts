import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { faulty } from "./faulty.ts";

/** A store whose first `begin` is committed only when `commit` is called, long after its caller has given up. */
export function lateCommit() {
  let commit: (() => Promise<unknown>) | undefined;
  const opened = faulty((store) => ({
    begin: (intent, attempt) => {
      if (commit !== undefined) return store.begin(intent, attempt);
      commit = () => store.begin(intent, attempt);
      return Promise.reject(new StoreUnavailableError("no answer"));
    },
  }));
  return { ...opened, commit: async () => await commit?.() };
}
