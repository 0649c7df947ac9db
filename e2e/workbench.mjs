// One visit to the real workbench: the demo dump is opened through the
// extension, and what a user would look at is looked at. Started by run.sh.
//
// Nothing is proved by waiting: every check asks the page until it shows what
// it should, or fails by name after a time.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { patience, Workbench } from "./page.mjs";
import { descendants, startServer, until } from "./server.mjs";

const { KDAP_BINARY: binary, KDAP_E2E_TOOLS: tools, KDAP_VSIX: vsix, KDAP_E2E_OUT: out } = process.env;
const { chromium } = createRequire(path.join(tools, "package.json"))("playwright-core");

const explorer = ".explorer-folders-view";
const callStack = ".debug-call-stack";
const variables = ".debug-variables";

fs.rmSync(out, { recursive: true, force: true });
fs.mkdirSync(out, { recursive: true });
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "kdap-e2e-"));
const undo = [() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })];
let page;
let passed = 0;

/** Runs one check, prints it, and keeps a picture. A failure ends the visit. */
async function check(name, run) {
  const start = Date.now();
  const note = (await run())?.split("\n")[0];
  passed++;
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  console.log(`ok ${passed} - ${name}${note ? `: ${note}` : ""} (${seconds} s)`);
  await picture(`${String(passed).padStart(2, "0")}-${name.replace(/[^a-z0-9]+/gi, "-").toLowerCase()}`);
}

async function picture(name) {
  await page?.screenshot({ path: path.join(out, `${name}.png`) }).catch(() => {});
}

/**
 * A thread's name begins with its group: "[1a2c PotionShop.exe] 1a54 …". The
 * groups of the row are the process's id, its image, the thread's id.
 */
const nameOf = (row) => /^\[([0-9a-f]+) ([^\]]+)\] ([0-9a-f]+)\b/i.exec(row.text);
const isThread = (name) => (row) => nameOf(row)?.[0] === name;

/** Lets kdap write its demo dump; returns the dump's name and its symbols' folder. */
function writeDemo(folder) {
  execFileSync(binary, ["demo", "--write", folder], { timeout: 60_000, stdio: ["ignore", "ignore", "inherit"] });
  const dump = fs.readdirSync(folder).find((f) => /\.dmp$/i.test(f));
  if (!dump) {
    throw new Error(`"kdap demo --write" left no .dmp in its folder: ${fs.readdirSync(folder)}`);
  }
  const symbols = ["symbols", "."].map((d) => path.join(folder, d)).find((d) => fs.existsSync(d));
  return { dump, symbols };
}

async function visit() {
  const workspace = path.join(dir, "workspace");
  fs.mkdirSync(workspace);
  const { dump, symbols } = writeDemo(workspace);
  const server = await startServer({
    tools,
    vsix,
    dir,
    logFile: path.join(out, "server.log"),
    machineSettings: {
      "kdap.path": binary,
      "kdap.symbolPath": symbols,
      "kdap.imagePath": symbols,
      "kdap.cacheDir": path.join(dir, "cache"),
    },
  });
  undo.push(server.stop);

  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  undo.push(() => browser.close());
  page = await browser.newPage({ viewport: { width: 1600, height: 1100 } });
  page.setDefaultTimeout(patience);
  const pageLog = fs.createWriteStream(path.join(out, "page.log"));
  page.on("console", (m) => pageLog.write(`${m.type()}: ${m.text()}\n`));
  const wb = new Workbench(page);

  await check("the workbench starts with the folder of the dump", async () => {
    await page.goto(`${server.url}/?folder=${encodeURIComponent(workspace)}`);
    await page.locator(`${explorer} .monaco-list-row`, { hasText: dump }).waitFor({ timeout: 60_000 });
    // The last parts of the debugger come some seconds later, this item and the reader of frames' texts with them.
    await page.locator('[id="status.debug"]').waitFor();
    return dump;
  });

  await check("the Explorer's menu opens the dump and the debug view", async () => {
    const file = page.locator(`${explorer} .monaco-list-row`, { hasText: dump });
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
    await page.locator(callStack).waitFor();
    await wb.widenSideBar(680);
    await wb.closeSections("Watch", "Breakpoints");
  });

  let stopped; // the name of the thread that the session stopped on
  await check("the session stopped on a thread, its frames are open", async () => {
    const row = await wb.find(callStack, "a thread with frames", (r) => nameOf(r) && r.expanded);
    stopped = nameOf(row)[0];
    const frames = await until("its frames", patience, async () => {
      const below = await wb.below(callStack, isThread(stopped));
      return below.length > 0 && below;
    });
    return [row, ...frames.slice(0, 3)].map((r) => r.label).join(" / ");
  });

  await check("the exception box names the bug check", async () => {
    const box = page.locator(".exception-widget");
    await box.waitFor();
    return (await box.locator(".title, .description").allTextContents()).join(" ").trim();
  });

  await check("the frame's text is shown with its line marked", async () => {
    await page.locator(".debug-top-stack-frame-line").first().waitFor();
    return page.locator(".part.editor .tab.active .label-name").first().textContent();
  });

  await check("variables are shown in scopes", async () => {
    // The first scope opens by itself and may be longer than the view.
    const scopes = await until("scopes", patience, async () => {
      const found = (await wb.all(variables)).filter((r) => r.level === 1);
      return found.length >= 2 && found;
    });
    const inside = await until("variables in a scope", patience, async () => {
      const inner = (await wb.all(variables)).filter((r) => r.level === 2);
      if (inner.length > 0) {
        return inner;
      }
      const first = await wb.find(variables, "the first scope", (r) => r.level === 1);
      await wb.at(variables, first).click({ timeout: 3000 }).catch(() => {}); // opens it; the next look finds them
      return undefined;
    });
    return `${scopes.map((r) => r.text).join(", ")}; first ${inside[0].text}`;
  });

  let groups; // ids of the processes, in order
  let other; // the name of a thread of another process
  await check("Call Stack shows every process as a group of threads", async () => {
    const names = (await wb.all(callStack)).map(nameOf).filter(Boolean);
    groups = [...new Set(names.map((m) => m[1]))];
    const changes = names.filter((m, i) => m[1] !== names[i - 1]?.[1]).length;
    if (groups.length < 2 || changes !== groups.length) {
      throw new Error(`${names.length} threads make ${changes} runs of ${groups.length} processes`);
    }
    const first = isThread(stopped)({ text: names.find((m) => m[0] === stopped)?.[0] ?? "" });
    if (!first || names[0][1] !== nameOf({ text: stopped })[1]) {
      throw new Error(`the first group is ${names[0][0]}, the session stopped on ${stopped}`);
    }
    other = names.find((m) => m[1] !== names[0][1])[0];
    return `${names.length} threads of ${groups.length} processes`;
  });

  let stack; // what the console says about the other thread
  await check("the console works on the thread that was clicked", async () => {
    await until(`${other} to be selected`, patience, async () => {
      const row = await wb.find(callStack, other, isThread(other));
      await wb.at(callStack, row).locator(".name").first().click({ timeout: 3000 }).catch(() => {});
      return until("it", 3000, async () => (await wb.rows(callStack)).find(isThread(other))?.selected).catch(() => false);
    });
    stack = await wb.ask("kc", /Call Site[^]*?00 \S+[^]*/);
    return stack.replace(/\s+/g, " ").slice(0, 60);
  });

  let frame; // the top frame of the other thread
  await check("the frames of that thread open, the same that the console gave", async () => {
    const frames = await until(`frames below ${other}`, patience, async () => {
      const row = await wb.find(callStack, other, isThread(other));
      if (!row.expanded) {
        await wb.at(callStack, row).locator(".monaco-tl-twistie").click({ timeout: 3000 }).catch(() => {});
      }
      return until("them", 3000, async () => {
        const below = await wb.below(callStack, isThread(other));
        return below.length > 0 && below;
      }).catch(() => undefined);
    });
    frame = frames[0];
    const symbol = frame.label.replace(/\+0x[0-9a-f]+$/i, ""); // "kc" prints no offsets
    if (!stack.includes(`00 ${symbol}`)) {
      throw new Error(`${other} has ${frame.label} on top; the console said ${stack}`);
    }
    return `${other} / ${frame.label}`;
  });

  await check("a frame of it can be selected, with its variables", async () => {
    await until("the frame to be selected", patience, async () => {
      const now = (await wb.below(callStack, isThread(other)))[0];
      if (now) {
        await wb.at(callStack, now).click({ timeout: 3000 }).catch(() => {});
      }
      return (await wb.below(callStack, isThread(other)))[0]?.selected;
    });
    await until("scopes", patience, async () => (await wb.rows(variables)).length >= 2);
    return frame.label;
  });

  await check("the console answers !process 0 0 with the same processes", () =>
    wb.ask("!process 0 0", new RegExp(`PROCESS [0-9a-f]{8,16}[^]*Cid: 0*(${groups.join("|")})\\b`, "i")),
  );

  await check("Stop ends the session and leaves no process behind", async () => {
    const adapters = () => descendants(server.pid).filter((p) => p.args.includes(binary)).length;
    const before = adapters();
    if (before === 0) {
      throw new Error("no adapter ran");
    }
    await page.keyboard.press("Shift+F5");
    await until("the adapter to end", patience, () => adapters() === 0);
    return `${before} before, none after`;
  });
}

let failure;
try {
  await visit();
} catch (e) {
  failure = e;
  await picture("failed");
  fs.writeFileSync(path.join(out, "failed.html"), (await page?.content().catch(() => "")) ?? "");
}
for (const step of undo.reverse()) {
  try {
    await step();
  } catch (e) {
    console.error(`cleaning up: ${e.message}`);
  }
}
if (failure) {
  console.log(`not ok ${passed + 1} - ${failure.message}`);
  console.error(failure.stack);
}
console.log(`pictures and logs: ${path.relative(process.cwd(), out) || "."}`);
console.log(`${passed} passed, ${failure ? 1 : 0} failed`);
process.exit(failure ? 1 : 0);
