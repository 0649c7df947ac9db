// The part of the adapter's protocol that is kdap's own: events and requests
// whose names begin with "kdap/".

import type { Config } from "./config";

/** The event that asks for a session of its own for one process. */
export const openProcessEvent = "kdap/openProcess";

/** The request that tells the adapter which thread or frame was selected. */
export const focusRequest = "kdap/focus";

/** What focusRequest carries when the user selects something in Call Stack. */
export interface Focus {
  threadId: number;
  frameId?: number;
}

/**
 * Makes the child's configuration from an event's body, which has the shape of
 * DAP's startDebugging: {request, configuration}. Returns undefined for
 * anything else. Where the child finds the adapter of its parent is in the
 * configuration: "debugServer" (a loopback port; VS Code connects by itself)
 * or "pipe" (a named pipe or socket).
 */
export function childConfig(body: unknown, parent: Config): Config | undefined {
  if (!isRecord(body) || !isRecord(body["configuration"])) {
    return undefined;
  }
  const request = body["request"];
  if (request !== "launch" && request !== "attach") {
    return undefined;
  }
  const c = body["configuration"];
  const name = typeof c["name"] === "string" && c["name"] !== "" ? c["name"] : parent.name;
  return { ...c, type: "kdap", request, name };
}

/** Says whether a message of the adapter is the event "stopped". */
export function isStopped(message: unknown): boolean {
  return isRecord(message) && message["type"] === "event" && message["event"] === "stopped";
}

function isRecord(v: unknown): v is Record<string, unknown> {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}
