import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratchFolder } from "../support/scratch-folder.ts";

/** A disk of its own, which can be filled and made read-only. */
export interface SmallDisk extends Disposable {
  readonly path: string;
  /** Mounts it again, read-only or writable. */
  remount(mode: "ro" | "rw"): void;
  /** Fills its free space. The returned function frees it again. */
  fill(): () => void;
}

/** Mounts a small disk in memory; undefined if this process may not mount (root on Linux may). */
export function smallDisk(megabytes: number): SmallDisk | undefined {
  const folder = scratchFolder("jackfield-disk");
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder.path], { stdio: "ignore" });
  } catch {
    folder[Symbol.dispose]();
    return undefined;
  }
  return {
    path: folder.path,
    remount: (mode) => {
      execFileSync("mount", ["-o", `remount,${mode}`, folder.path], { stdio: "ignore" });
    },
    fill: () => {
      const ballast = join(folder.path, "ballast");
      fill(ballast);
      return () => rmSync(ballast);
    },
    [Symbol.dispose]: () => {
      execFileSync("umount", ["-l", folder.path], { stdio: "ignore" });
      folder[Symbol.dispose]();
    },
  };
}

function fill(path: string): void {
  for (let size = 1_048_576; size >= 512;) {
    try {
      writeFileSync(path, Buffer.alloc(size), { flag: "a" });
    } catch {
      size /= 2;
    }
  }
}
