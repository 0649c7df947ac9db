// Finds the kdap program. Nothing here knows VS Code, so that it is tested
// without one.

import * as path from "node:path";

/** What the search depends on. */
export interface Surroundings {
  /** The setting kdap.path; "" when it is not set. */
  setting: string;
  extensionDir: string;
  platform: NodeJS.Platform;
  env: Readonly<Record<string, string | undefined>>;
  homeDir: string;
  /** Says whether a file is there and may be run. */
  isProgram(file: string): boolean;
}

/** Says that kdap was not found, where it was looked for, and what to do. */
export class NotFoundError extends Error {
  override name = "NotFoundError";
}

/**
 * Returns the program to run: the one in the setting, the one that came with
 * the extension, the first in PATH. A setting that names no program is an
 * error: another kdap than the chosen one would only confuse.
 */
export function findProgram(s: Surroundings): string {
  const p = s.platform === "win32" ? path.win32 : path.posix;
  const exe = s.platform === "win32" ? "kdap.exe" : "kdap";

  const setting = s.setting.trim();
  if (setting !== "") {
    const file = expandHome(setting, s.homeDir, p);
    if (p.isAbsolute(file) && s.isProgram(file)) {
      return file;
    }
    throw new NotFoundError(
      `The setting kdap.path names ${setting}, which is not a program that can be run. ` +
        `Give the whole path of ${exe}, or clear the setting.`,
    );
  }

  const bundled = p.join(s.extensionDir, "bin", exe);
  if (s.isProgram(bundled)) {
    return bundled;
  }
  for (const dir of pathFolders(s, p)) {
    const file = p.join(dir, exe);
    if (s.isProgram(file)) {
      return file;
    }
  }
  throw new NotFoundError(
    `The kdap program was not found: it is neither in the extension (${bundled}) nor in PATH. ` +
      `Install kdap and put it in PATH, or name it in the setting kdap.path.`,
  );
}

/**
 * Lists the folders of PATH. Relative ones are left out: they would depend on
 * the folder that happens to be open, which may hold anybody's files.
 */
function pathFolders(s: Surroundings, p: path.PlatformPath): string[] {
  // Windows spells it Path; a copy of the environment is not case-blind.
  const key = Object.keys(s.env).find((k) => (s.platform === "win32" ? k.toUpperCase() : k) === "PATH");
  const value = (key !== undefined && s.env[key]) || "";
  return value
    .split(p.delimiter)
    .map((dir) => dir.replace(/^"(.*)"$/, "$1"))
    .filter((dir) => p.isAbsolute(dir));
}

function expandHome(file: string, homeDir: string, p: path.PlatformPath): string {
  return /^~[/\\]/.test(file) ? p.join(homeDir, file.slice(2)) : file;
}
