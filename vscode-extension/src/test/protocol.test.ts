import assert from "node:assert/strict";
import { test } from "node:test";
import { childConfig, isStopped } from "../protocol";

const parent = { type: "kdap", request: "launch", name: "x.dmp", dumpFile: "/x.dmp" };

test("a child's configuration is the event's, its type ours", () => {
  const body = { request: "attach", configuration: { name: "[1a2c] a.exe", type: "other", debugServer: 4711, process: 1 } };
  assert.deepEqual(childConfig(body, parent), {
    name: "[1a2c] a.exe",
    type: "kdap",
    request: "attach",
    debugServer: 4711,
    process: 1,
  });
  assert.equal(childConfig({ request: "launch", configuration: {} }, parent)?.name, "x.dmp");
});

test("a body of another shape starts nothing", () => {
  const bodies = [undefined, null, 1, [], {}, { request: "attach" }, { configuration: {} }, { request: "run", configuration: {} }];
  for (const body of bodies) {
    assert.equal(childConfig(body, parent), undefined, JSON.stringify(body));
  }
});

test("the event stopped is recognised", () => {
  assert.ok(isStopped({ type: "event", event: "stopped" }));
  assert.ok(!isStopped({ type: "event", event: "output" }));
  assert.ok(!isStopped({ type: "response", command: "stopped" }));
  assert.ok(!isStopped(null));
});
