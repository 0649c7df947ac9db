// Asks for a dump where none was named, and completes configurations before a
// session starts.

import * as os from "node:os";
import * as vscode from "vscode";
import {
  completeConfig,
  ConfigError,
  dumpGlob,
  isDumpName,
  isEmptyConfig,
  launchConfig,
  needsDump,
  type Config,
} from "./config";
import { NotFoundError } from "./binary";

/** The most dumps that are offered of a folder: a list is for reading. */
const maxDumps = 100;

/** The command "Open Crash Dump…": on a file of the explorer, or with a picker. */
export async function openDump(resource?: unknown): Promise<void> {
  const file = resource instanceof vscode.Uri ? resource.fsPath : await pickFile();
  if (file === undefined) {
    return;
  }
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file));
  await vscode.debug.startDebugging(folder, launchConfig(file), { suppressSaveBeforeStart: true });
}

/** Fills in what a configuration leaves out; asks for the dump when it must. */
export class Configurations implements vscode.DebugConfigurationProvider {
  /** @param program finds the kdap program; throws when there is none. */
  constructor(private readonly program: () => string) {}

  /** The list under "Run and Debug → kdap…": the dumps of the folder. */
  static async dynamic(folder: vscode.WorkspaceFolder | undefined): Promise<Config[]> {
    if (folder === undefined) {
      return []; // asked once more for the user's settings: each folder has given its own
    }
    return (await findDumps(folder)).map((uri) => launchConfig(uri.fsPath));
  }

  async resolveDebugConfiguration(
    folder: vscode.WorkspaceFolder | undefined,
    config: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | undefined> {
    if (!isEmptyConfig(config) && !needsDump(config)) {
      return config;
    }
    const file = activeDump() ?? (await pickDump(folder));
    // undefined ends the start without a word: the user closed the picker.
    return file === undefined ? undefined : { ...launchConfig(file), ...present(config), dumpFile: file };
  }

  async resolveDebugConfigurationWithSubstitutedVariables(
    folder: vscode.WorkspaceFolder | undefined,
    config: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | undefined> {
    const settings = vscode.workspace.getConfiguration("kdap", folder);
    try {
      this.program(); // now: a failed start later has no button to mend it
      return completeConfig(config, folder?.uri.fsPath, os.homedir(), {
        symbolPath: settings.get("symbolPath", ""),
        imagePath: settings.get("imagePath", ""),
        sourcePath: settings.get("sourcePath", ""),
        cacheDir: settings.get("cacheDir", ""),
      });
    } catch (e) {
      if (e instanceof NotFoundError) {
        void offer(e.message, "Open Settings", "workbench.action.openSettings", "kdap.path");
      } else if (e instanceof ConfigError) {
        void offer(e.message, "Open launch.json", "workbench.action.debug.configure");
      } else {
        throw e;
      }
      return undefined;
    }
  }
}

/** The members of a configuration that say something. */
function present(config: vscode.DebugConfiguration): object {
  return Object.fromEntries(Object.entries(config).filter(([, v]) => v !== undefined && v !== ""));
}

/** The dump in the active editor. VS Code shows no text of it, but has its tab. */
function activeDump(): string | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom) {
    return isDumpName(input.uri.path) ? input.uri.fsPath : undefined;
  }
  return undefined;
}

/** The only dump of the folder, or one out of the list, or one from anywhere. */
async function pickDump(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
  const dumps = await findDumps(folder);
  if (dumps.length === 0) {
    return pickFile();
  }
  const only = dumps[0];
  if (dumps.length === 1 && only) {
    return only.fsPath;
  }
  const browse = { label: "$(folder-opened) Another file…", file: "" };
  const items = dumps.map((uri) => ({ label: vscode.workspace.asRelativePath(uri), file: uri.fsPath }));
  const choice = await vscode.window.showQuickPick([...items, browse], { placeHolder: "The crash dump to open" });
  return choice === browse ? pickFile() : choice?.file;
}

async function findDumps(folder: vscode.WorkspaceFolder | undefined): Promise<vscode.Uri[]> {
  const where = folder ? new vscode.RelativePattern(folder, dumpGlob) : dumpGlob;
  const found = await vscode.workspace.findFiles(where, undefined, maxDumps);
  return found.sort((a, b) => a.path.localeCompare(b.path));
}

async function pickFile(): Promise<string | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title: "Open Crash Dump",
    openLabel: "Open",
    filters: { "Crash dumps": ["dmp", "mdmp", "hdmp", "zst", "zip"], "All files": ["*"] },
  });
  return chosen?.[0]?.fsPath;
}

async function offer(message: string, button: string, command: string, ...args: unknown[]): Promise<void> {
  if ((await vscode.window.showErrorMessage(`kdap: ${message}`, button)) === button) {
    await vscode.commands.executeCommand(command, ...args);
  }
}
