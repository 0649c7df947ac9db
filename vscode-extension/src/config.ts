// Completes debug configurations. Nothing here knows VS Code, so that it is
// tested without one.

import * as path from "node:path";

/** A debug configuration as VS Code hands it over: nothing in it is certain. */
export interface Config {
  type: string;
  request: string;
  name: string;
  [key: string]: unknown;
}

/** The settings that stand in for what a configuration leaves out. */
export interface Defaults {
  symbolPath: string;
  imagePath: string;
  sourcePath: string;
  cacheDir: string;
}

/** Says what is wrong with a configuration, in words for its author. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

const dumpName = /\.(dmp|mdmp|hdmp)(\.(zst|zip))?$/i;

/** Says whether a file looks like a dump, packed or not, by its name. */
export function isDumpName(file: string): boolean {
  return dumpName.test(file);
}

/** The glob for the dumps of a folder; findFiles knows no "ignore case". */
export const dumpGlob = "**/*.{dmp,DMP,mdmp,hdmp,dmp.zst,DMP.zst,dmp.zip,DMP.zip}";

/** Makes the configuration that opens one dump with nothing else said. */
export function launchConfig(dumpFile: string): Config {
  return { type: "kdap", request: "launch", name: baseName(dumpFile), dumpFile };
}

/** Says whether VS Code had no configuration to start: F5 without a launch.json. */
export function isEmptyConfig(c: Partial<Config>): boolean {
  return !c.request; // the type may be there: picked from the list of debuggers
}

/** Says whether the dump to open is still to be asked for. */
export function needsDump(c: Partial<Config>): boolean {
  return c.request === "launch" && (typeof c["dumpFile"] !== "string" || c["dumpFile"].trim() === "");
}

/**
 * Completes a configuration whose ${variables} are filled in: makes the dump's
 * path whole and adds the defaults. The result is all that the adapter sees.
 */
export function completeConfig(c: Config, folder: string | undefined, homeDir: string, d: Defaults): Config {
  const out: Config = { internalConsoleOptions: "openOnSessionStart", ...c };
  switch (c.request) {
    case "attach":
      if (typeof c["engine"] !== "string" || c["engine"] === "") {
        throw new ConfigError(`"engine" is missing: attach needs the host:port of a running kdap engine.`);
      }
      return out;
    case "launch":
      break;
    default:
      throw new ConfigError(`"request" is ${JSON.stringify(c.request)}: kdap knows "launch" and "attach".`);
  }

  const dump = c["dumpFile"];
  if (typeof dump !== "string" || dump === "") {
    throw new ConfigError(`"dumpFile" is missing: name the dump to open.`);
  }
  if (!c["engine"]) {
    // With an engine elsewhere the path is that machine's business.
    out["dumpFile"] = wholePath(dump, folder, homeDir);
  }
  for (const key of ["symbolPath", "imagePath", "sourcePath", "cacheDir"] as const) {
    if (out[key] === undefined && d[key] !== "") {
      out[key] = d[key];
    }
  }
  return out;
}

function wholePath(file: string, folder: string | undefined, homeDir: string): string {
  if (/^~[/\\]/.test(file)) {
    return path.join(homeDir, file.slice(2));
  }
  if (path.isAbsolute(file)) {
    return file;
  }
  if (folder === undefined) {
    throw new ConfigError(`"dumpFile" is ${file}: without an open folder it must be an absolute path.`);
  }
  return path.join(folder, file);
}

function baseName(file: string): string {
  return file.split(/[/\\]/).pop() || file;
}
