import assert from "node:assert/strict";
import { test } from "node:test";
import { completeConfig, ConfigError, isDumpName, isEmptyConfig, launchConfig, needsDump, type Config } from "../config";

const none = { symbolPath: "", imagePath: "", sourcePath: "", cacheDir: "" };

function launch(more: Record<string, unknown>): Config {
  return { type: "kdap", request: "launch", name: "n", ...more };
}

test("dump names", () => {
  for (const name of ["a.dmp", "MEMORY.DMP", "/x/y.dmp.zst", "C:\\d\\m.Dmp.zip", "p.mdmp", "p.hdmp"]) {
    assert.ok(isDumpName(name), name);
  }
  for (const name of ["a.txt", "dmp", "a.dmp.txt", "a.zst", "a.zip"]) {
    assert.ok(!isDumpName(name), name);
  }
});

test("a configuration for one dump is named after its file", () => {
  assert.deepEqual(launchConfig("/d/x.dmp"), launch({ name: "x.dmp", dumpFile: "/d/x.dmp" }));
  assert.equal(launchConfig("C:\\d\\x.dmp").name, "x.dmp");
});

test("when to ask for a dump", () => {
  assert.ok(isEmptyConfig({}));
  assert.ok(isEmptyConfig({ type: "kdap" }));
  assert.ok(!isEmptyConfig(launch({})));
  assert.ok(needsDump(launch({})));
  assert.ok(needsDump(launch({ dumpFile: " " })));
  assert.ok(!needsDump(launch({ dumpFile: "x" })));
  assert.ok(!needsDump({ type: "kdap", request: "attach" }));
});

test("a relative dump starts at the folder", () => {
  const complete = (dumpFile: string, folder?: string) =>
    completeConfig(launch({ dumpFile }), folder, "/home/me", none)["dumpFile"];
  assert.equal(complete("d/x.dmp", "/w"), "/w/d/x.dmp");
  assert.equal(complete("/d/x.dmp", "/w"), "/d/x.dmp");
  assert.equal(complete("~/x.dmp"), "/home/me/x.dmp");
  assert.throws(() => complete("x.dmp"), ConfigError);
});

test("with an engine elsewhere the path is left alone", () => {
  const c = completeConfig(launch({ dumpFile: "D:\\x.dmp", engine: "far:4711" }), "/w", "/home/me", none);
  assert.equal(c["dumpFile"], "D:\\x.dmp");
});

test("settings fill gaps, empty ones add nothing, what is written stays", () => {
  const c = completeConfig(launch({ dumpFile: "/x.dmp", imagePath: "" }), undefined, "/", {
    symbolPath: "srv*/s",
    imagePath: "/i",
    sourcePath: "srv*;/src",
    cacheDir: "",
  });
  assert.equal(c["symbolPath"], "srv*/s");
  assert.equal(c["imagePath"], "");
  assert.equal(c["sourcePath"], "srv*;/src");
  assert.ok(!("cacheDir" in c));
  assert.equal(c["internalConsoleOptions"], "openOnSessionStart");
});

test("what is wrong is said", () => {
  const complete = (c: Config) => () => completeConfig(c, "/w", "/", none);
  assert.throws(complete(launch({})), /dumpFile/);
  assert.throws(complete({ type: "kdap", request: "attach", name: "n" }), /engine/);
  assert.throws(complete({ type: "kdap", request: "run", name: "n" }), /"run".*"launch" and "attach"/);
});

test("attach is passed on", () => {
  const c = completeConfig({ type: "kdap", request: "attach", name: "n", engine: "127.0.0.1:1" }, undefined, "/", none);
  assert.equal(c["engine"], "127.0.0.1:1");
});
