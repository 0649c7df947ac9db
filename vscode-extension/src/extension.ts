// The extension's entry: what it registers with VS Code. The adapter does the
// work; this side finds and starts it, asks for the dump, and passes on what
// the Debug Adapter Protocol has no message for.

import * as fs from "node:fs";
import * as os from "node:os";
import * as vscode from "vscode";
import { findProgram } from "./binary";
import { childConfig, focusRequest, isStopped, openProcessEvent, type Focus } from "./protocol";
import { Configurations, openDump } from "./open";

const debugType = "kdap";

export function activate(context: vscode.ExtensionContext): void {
  const program = () => locate(context.extensionPath);
  context.subscriptions.push(
    vscode.commands.registerCommand("kdap.openDump", openDump),
    vscode.debug.registerDebugConfigurationProvider(debugType, new Configurations(program)),
    vscode.debug.registerDebugConfigurationProvider(
      debugType,
      { provideDebugConfigurations: Configurations.dynamic },
      vscode.DebugConfigurationProviderTriggerKind.Dynamic,
    ),
    vscode.debug.registerDebugAdapterDescriptorFactory(debugType, {
      createDebugAdapterDescriptor: (session) => descriptor(session, program),
    }),
    vscode.debug.registerDebugAdapterTrackerFactory(debugType, { createDebugAdapterTracker: showOnFirstStop }),
    vscode.debug.onDidChangeActiveStackItem(tellFocus),
    vscode.debug.onDidReceiveDebugSessionCustomEvent(openProcess),
  );
}

function locate(extensionDir: string): string {
  return findProgram({
    setting: vscode.workspace.getConfiguration("kdap").get("path", ""),
    extensionDir,
    platform: process.platform,
    env: process.env,
    homeDir: os.homedir(),
    isProgram,
  });
}

function isProgram(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Starts an adapter, or joins the parent's where a child session names it. */
function descriptor(session: vscode.DebugSession, program: () => string): vscode.DebugAdapterDescriptor {
  const pipe: unknown = session.configuration["pipe"];
  if (session.parentSession && typeof pipe === "string") {
    return new vscode.DebugAdapterNamedPipeServer(pipe);
  }
  return new vscode.DebugAdapterExecutable(program(), ["dap"]);
}

/**
 * Opens the debug view at a session's first stop. VS Code does so by itself
 * only for the reason "breakpoint", and a dump stops with "exception".
 */
function showOnFirstStop(session: vscode.DebugSession): vscode.DebugAdapterTracker | undefined {
  if (session.parentSession) {
    return undefined;
  }
  let shown = false;
  return {
    onDidSendMessage(message: unknown) {
      if (shown || !isStopped(message)) {
        return;
      }
      shown = true;
      if (vscode.workspace.getConfiguration("debug").get("openDebug") !== "neverOpen") {
        void vscode.commands.executeCommand("workbench.view.debug");
      }
    },
  };
}

/**
 * Tells the adapter what was selected in Call Stack: VS Code evaluates without
 * a frame after a click on a thread, and the adapter has to know which it was.
 */
function tellFocus(item: vscode.DebugThread | vscode.DebugStackFrame | undefined): void {
  if (item?.session.type !== debugType) {
    return;
  }
  const focus: Focus = { threadId: item.threadId };
  if (item instanceof vscode.DebugStackFrame) {
    focus.frameId = item.frameId;
  }
  // An adapter that is going away, or too old to know it, is no matter.
  item.session.customRequest(focusRequest, focus).then(undefined, () => undefined);
}

/**
 * Opens a child session. Through this API 200 of them start in a second; it
 * takes ten times that through DAP's own startDebugging, with a console each.
 * The children's life is their own: managed by the parent, VS Code could not
 * stop them one by one.
 */
async function openProcess(e: vscode.DebugSessionCustomEvent): Promise<void> {
  if (e.session.type !== debugType || e.event !== openProcessEvent) {
    return;
  }
  const config = childConfig(e.body, e.session.configuration);
  if (config === undefined) {
    return;
  }
  await vscode.debug.startDebugging(e.session.workspaceFolder, config, {
    parentSession: e.session,
    consoleMode: vscode.DebugConsoleMode.MergeWithParent,
    suppressSaveBeforeStart: true,
  });
}
