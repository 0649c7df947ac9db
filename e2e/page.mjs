// Looks at the workbench's page as a user would: rows of trees, the console.
//
// VS Code's lists are virtual: a row off the screen is not in the page, and one
// on it may be redrawn at any moment. So everything here asks again until it
// sees what it should, and scrolls to see the rest.

import { until } from "./server.mjs";

/** How long something on the page may take that a user would wait for. */
export const patience = 30_000;

export class Workbench {
  constructor(page) {
    this.page = page;
  }

  /** The rows of a tree that are on the screen, top to bottom. */
  async rows(tree) {
    const found = await this.page.locator(`${tree} .monaco-list-row`).evaluateAll((all) =>
      all.map((e) => ({
        text: e.textContent.replaceAll("\u00a0", " ").trim(),
        label: (e.querySelector(".stack-frame .label, .thread .name, .name")?.textContent ?? "").trim(),
        level: Number(e.getAttribute("aria-level")),
        expanded: e.getAttribute("aria-expanded") === "true",
        selected: e.getAttribute("aria-selected") === "true",
        index: Number(e.getAttribute("data-index")),
      })),
    );
    return found.sort((a, b) => a.index - b.index);
  }

  /** The row as something to click, wherever it stands now. */
  at(tree, row) {
    return this.page.locator(`${tree} .monaco-list-row[data-index="${row.index}"]`);
  }

  /** Scrolls a tree from its top to its bottom; hands visit the rows on each screen until it returns true. */
  async scroll(tree, visit) {
    await this.page.locator(`${tree} .monaco-list`).first().hover({ position: { x: 40, y: 10 } });
    await until(`the top of ${tree}`, patience, async () => {
      await this.page.mouse.wheel(0, -1e6);
      return (await this.rows(tree))[0]?.index === 0;
    });
    for (let seen = -1, idle = 0; idle < 4; ) {
      const rows = await this.rows(tree);
      const got = await visit(rows);
      if (got) {
        return got;
      }
      const last = rows.at(-1)?.index ?? -1;
      idle = last > seen ? 0 : idle + 1; // drawing may lag behind the wheel
      seen = Math.max(seen, last);
      await this.page.mouse.wheel(0, 150);
      await this.page.waitForTimeout(60);
    }
    return undefined;
  }

  /** Every row of a tree, by its index. */
  async all(tree) {
    const byIndex = new Map();
    await this.scroll(tree, (rows) => {
      for (const row of rows) {
        byIndex.set(row.index, row);
      }
    });
    return [...byIndex.values()].sort((a, b) => a.index - b.index);
  }

  /** Scrolls until a row that wanted accepts is on the screen, with room below it where the list goes on. */
  find(tree, what, wanted) {
    return until(what, patience, async () => {
      const row = await this.scroll(tree, (rows) => rows.find(wanted));
      if (row) {
        const list = await this.page.locator(`${tree} .monaco-list`).first().boundingBox();
        const place = await this.at(tree, row).boundingBox();
        await this.page.mouse.wheel(0, place ? place.y - list.y - 2 * place.height : 0);
        await this.page.waitForTimeout(60);
      }
      return row && (await this.rows(tree)).find(wanted);
    });
  }

  /** The rows on the screen below a row, as deep as they are. */
  async below(tree, wanted) {
    const rows = await this.rows(tree);
    const at = rows.findIndex(wanted);
    if (at < 0) {
      return [];
    }
    const end = rows.findIndex((r, i) => i > at && r.level <= rows[at].level);
    return rows.slice(at + 1, end < 0 ? undefined : end);
  }

  /** Closes sections of the debug view, so that the others have its place. */
  async closeSections(...names) {
    for (const name of names) {
      const header = this.page.locator(`.pane-header[aria-label="${name} Section"]`);
      await until(`section ${name} to close`, patience, async () => {
        if ((await header.getAttribute("aria-expanded")) === "false") {
          return true;
        }
        await header.click({ timeout: 3000 }).catch(() => {});
        return false;
      });
    }
  }

  /** Draws the side bar's edge to x. */
  async widenSideBar(x) {
    const box = await this.page.locator(".part.sidebar").boundingBox();
    const edge = box.x + box.width;
    await this.page.mouse.move(edge, 700);
    await this.page.mouse.down();
    await this.page.mouse.move((edge + x) / 2, 700);
    await this.page.mouse.move(x, 700);
    await this.page.mouse.up();
  }

  /** Types a line into the Debug Console; returns what answer matches below its echo. */
  async ask(line, answer) {
    const input = this.page.locator(".repl .repl-input-wrapper .monaco-editor").first();
    await input.click();
    await this.page.keyboard.insertText(line);
    await this.page.keyboard.press("Escape"); // no completion may take the Enter
    await this.page.keyboard.press("Enter");
    return until(`${answer} in the console after ${line}`, patience, async () => {
      // A long answer pushes its echo off the screen.
      const lines = (await this.rows(".repl .repl-tree")).map((r) => r.text);
      const echo = lines.findLastIndex((t) => t === line);
      return answer.exec(lines.slice(echo + 1).join("\n"))?.[0];
    });
  }
}
