// One visit to the real workbench: the demo dump is opened through the
// extension, and what a user would look at is looked at. Started by run.sh.
//
// Nothing is proved by waiting: every check asks the page until it shows what
// it should, or fails by name after a time. Lists are virtual in VS Code, so
// only rows on the screen can be seen.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { descendants, startServer, until } from "./server.mjs";

const { KDAP_BINARY: binary, KDAP_E2E_TOOLS: tools, KDAP_VSIX: vsix, KDAP_E2E_OUT: out } = process.env;
const { chromium } = createRequire(path.join(tools, "package.json"))("playwright-core");
const patience = 30_000;

fs.rmSync(out, { recursive: true, force: true });
fs.mkdirSync(out, { recursive: true });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "kdap-e2e-"));
const workspace = path.join(dir, "workspace");
const undo = [() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })];
let page;
let passed = 0;

/** Runs one check, prints it, and keeps a picture. A failure ends the visit. */
async function check(name, run) {
  const start = Date.now();
  const note = await run();
  passed++;
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  console.log(`ok ${passed} - ${name}${note ? `: ${note}` : ""} (${seconds} s)`);
  await picture(`${String(passed).padStart(2, "0")}-${name.replace(/[^a-z0-9]+/gi, "-").toLowerCase()}`);
}

async function picture(name) {
  await page?.screenshot({ path: path.join(out, `${name}.png`) }).catch(() => {});
}

/** The visible rows of a tree, top to bottom, as {text, level, expanded, locator}. */
async function rows(tree) {
  const found = [];
  for (const row of await page.locator(`${tree} .monaco-list-row`).all()) {
    const [text, level, expanded, top] = await row
      .evaluate((e) => [
        e.textContent,
        Number(e.getAttribute("aria-level")),
        e.getAttribute("aria-expanded"),
        e.getBoundingClientRect().top,
      ])
      .catch(() => []); // the row was redrawn: the next look has it
    if (text !== undefined) {
      found.push({ text: text.replaceAll("\u00a0", " "), level, expanded, top, row });
    }
  }
  return found.sort((a, b) => a.top - b.top);
}

const callStack = ".debug-call-stack";
const variables = ".debug-variables";
// A thread's name begins with its group: "[1a2c PotionShop.exe] 1a54 …".
const threadRow = /\[([0-9a-f]+) ([^\]]+)\] ([0-9a-f]+)\b/i;

const threadsOf = async () => (await rows(callStack)).filter((r) => threadRow.test(r.text));

/** The frames shown below the thread with this name. */
async function framesBelow(name) {
  const all = await rows(callStack);
  const at = all.findIndex((r) => threadRow.exec(r.text)?.[0] === name);
  if (at < 0) {
    return [];
  }
  const rest = all.slice(at + 1);
  const end = rest.findIndex((r) => r.level <= all[at].level);
  return end < 0 ? rest : rest.slice(0, end);
}

/** Types a line into the Debug Console; returns what is written below its echo. */
async function ask(line, answer) {
  const input = page.locator(".repl .repl-input-wrapper .monaco-editor").first();
  await input.click({ timeout: patience });
  await page.keyboard.insertText(line);
  await page.keyboard.press("Escape"); // no completion may take the Enter
  await page.keyboard.press("Enter");
  return until(`${answer} in the console after ${line}`, patience, async () => {
    const lines = (await rows(".repl")).map((r) => r.text);
    const echo = lines.findLastIndex((t) => t.trim() === line);
    const below = lines.slice(echo < 0 ? 0 : echo + 1).join("\n");
    return answer.exec(below)?.[0];
  });
}

async function visit() {
  execFileSync(binary, ["demo", "--write", workspace], { timeout: 60_000, stdio: ["ignore", "inherit", "inherit"] });
  const dump = fs.readdirSync(workspace).find((f) => /\.dmp$/i.test(f));
  if (!dump) {
    throw new Error(`"kdap demo --write" left no .dmp in its folder: ${fs.readdirSync(workspace)}`);
  }
  const symbols = ["symbols", "."].map((d) => path.join(workspace, d)).find((d) => fs.existsSync(d));

  const server = await startServer({
    tools,
    vsix,
    dir,
    logFile: path.join(out, "server.log"),
    machineSettings: {
      "kdap.path": binary,
      "kdap.symbolPath": symbols,
      "kdap.imagePath": workspace,
      "kdap.cacheDir": path.join(dir, "cache"),
    },
  });
  undo.push(server.stop);
  const adapters = () => descendants(server.pid).filter((p) => p.args.includes(binary));

  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  undo.push(() => browser.close());
  page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
  page.setDefaultTimeout(patience);
  const console_ = fs.createWriteStream(path.join(out, "page.log"));
  page.on("console", (m) => console_.write(`${m.type()}: ${m.text()}\n`));

  await check("the workbench starts with the folder of the dump", async () => {
    await page.goto(`${server.url}/?folder=${encodeURIComponent(workspace)}`);
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: dump }).waitFor({ timeout: 60_000 });
    return dump;
  });

  await check("the Explorer's menu opens the dump", async () => {
    const file = page.locator(".explorer-folders-view .monaco-list-row", { hasText: dump });
    const item = page.locator(".context-view .action-item", { hasText: "Open Crash Dump" });
    const came = (state) => item.waitFor({ state, timeout: 1500 }).then(() => true, () => false);
    await until("the menu's entry to be there and used", patience, async () => {
      if (!(await item.isVisible())) {
        await page.keyboard.press("Escape"); // a menu from before the extension was known
        await file.click({ button: "right", timeout: 3000 }).catch(() => {});
      }
      if (!(await came("visible"))) {
        return false;
      }
      // A menu takes no click in its first moments: it may be the end of the one that opened it.
      await item.click({ timeout: 3000 }).catch(() => {});
      return came("hidden");
    });
    await page.locator(callStack).waitFor(); // the extension opens the view at the stop
    return "the debug view came by itself";
  });

  let threads;
  await check("Call Stack shows threads in groups", async () => {
    threads = await until("two processes in Call Stack", patience, async () => {
      const found = await threadsOf();
      return new Set(found.map((r) => threadRow.exec(r.text)[1])).size >= 2 && found;
    });
    return threads.map((r) => threadRow.exec(r.text)[0]).slice(0, 8).join(", ");
  });

  await check("the session stopped on a thread whose frames are open", async () => {
    const frames = await until("frames below a thread", patience, async () => {
      for (const thread of await threadsOf()) {
        const below = await framesBelow(threadRow.exec(thread.text)[0]);
        if (below.length > 0) {
          return [thread, ...below];
        }
      }
      return undefined;
    });
    return frames.slice(0, 4).map((r) => r.text.trim()).join(" / ");
  });

  await check("variables of the selected frame are shown in scopes", async () => {
    const scopes = await until("scopes", patience, async () => {
      const found = (await rows(variables)).filter((r) => r.level === 1);
      return found.length >= 2 && found;
    });
    const inside = await until("variables in a scope", patience, async () => {
      const all = await rows(variables);
      const inner = all.filter((r) => r.level === 2);
      if (inner.length === 0) {
        await page.keyboard.press("Escape");
        await all[0]?.row.click().catch(() => {}); // opens the scope; the next look sees it
      }
      return inner.length > 0 && inner;
    });
    return `${scopes.map((r) => r.text.trim()).join(", ")}; first ${inside[0].text.trim()}`;
  });

  let other;
  await check("another thread's frames open", async () => {
    const closed = (await threadsOf()).find((r) => r.expanded !== "true");
    if (!closed) {
      throw new Error("every thread on the screen is open already");
    }
    other = threadRow.exec(closed.text)[0];
    const frames = await until(`frames below ${other}`, patience, async () => {
      const below = await framesBelow(other);
      if (below.length > 0) {
        return below;
      }
      const thread = (await threadsOf()).find((r) => threadRow.exec(r.text)[0] === other);
      await thread?.row.locator(".monaco-tl-twistie").click({ timeout: 3000 }).catch(() => {});
      return until("them", 3000, async () => {
        const now = await framesBelow(other);
        return now.length > 0 && now;
      }).catch(() => undefined);
    });
    return `${other} / ${frames[0].text.trim()}`;
  });

  await check("a frame of it can be selected, with its variables", async () => {
    const frame = (await framesBelow(other))[0];
    await frame.row.click();
    await until("the frame to be focused", patience, async () => {
      const now = (await framesBelow(other))[0];
      return (await now?.row.getAttribute("aria-selected")) === "true";
    });
    await until("scopes", patience, async () => (await rows(variables)).length >= 2);
    return frame.text.trim();
  });

  await check("the console answers !process 0 0", () => ask("!process 0 0", /PROCESS [0-9a-f`]+/i));

  await check("Stop ends the session and leaves no process behind", async () => {
    const before = adapters().length;
    await page.keyboard.press("Shift+F5");
    await until("the adapter to end", patience, () => adapters().length === 0);
    if (before === 0) {
      throw new Error("no adapter ran");
    }
    return `${before} before, none after`;
  });
}

let failure;
try {
  await visit();
} catch (e) {
  failure = e;
  await picture("failed");
  const html = await page?.content().catch(() => "");
  fs.writeFileSync(path.join(out, "failed.html"), html ?? "");
}
for (const step of undo.reverse()) {
  await Promise.resolve(step()).catch?.((e) => console.error(`cleaning up: ${e.message}`));
}
if (failure) {
  console.log(`not ok ${passed + 1} - ${failure.message}`);
  console.error(failure.stack);
}
console.log(`pictures and logs: ${path.relative(process.cwd(), out) || "."}`);
console.log(`${passed} passed, ${failure ? 1 : 0} failed`);
process.exit(failure ? 1 : 0);
