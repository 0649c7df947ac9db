import assert from "node:assert/strict";
import { test } from "node:test";
import { findProgram, NotFoundError, type Surroundings } from "../binary";

function surroundings(files: string[], s: Partial<Surroundings> = {}): Surroundings {
  return {
    setting: "",
    extensionDir: "/ext",
    platform: "linux",
    env: { PATH: "/usr/local/bin:/usr/bin" },
    homeDir: "/home/me",
    isProgram: (f) => files.includes(f),
    ...s,
  };
}

test("the setting wins over the bundled program and PATH", () => {
  const files = ["/opt/kdap", "/ext/bin/kdap", "/usr/bin/kdap"];
  assert.equal(findProgram(surroundings(files, { setting: "/opt/kdap" })), "/opt/kdap");
  assert.equal(findProgram(surroundings(files)), "/ext/bin/kdap");
  assert.equal(findProgram(surroundings(["/usr/bin/kdap"])), "/usr/bin/kdap");
});

test("~ in the setting is the home folder", () => {
  assert.equal(findProgram(surroundings(["/home/me/kdap"], { setting: "~/kdap" })), "/home/me/kdap");
});

test("a setting without a program is an error, not another kdap", () => {
  const s = surroundings(["/usr/bin/kdap"], { setting: "/opt/none" });
  assert.throws(() => findProgram(s), (e) => e instanceof NotFoundError && /kdap\.path names \/opt\/none/.test(e.message));
});

test("relative places are never searched", () => {
  const all = surroundings([], { isProgram: () => true });
  assert.throws(() => findProgram({ ...all, setting: "bin/kdap" }), NotFoundError);
  const s = surroundings(["kdap", "./kdap", "bin/kdap"], { env: { PATH: ".:bin::" } });
  assert.throws(() => findProgram(s), NotFoundError);
});

test("the error says where it looked and what to do", () => {
  assert.throws(() => findProgram(surroundings([])), /\/ext\/bin\/kdap.*PATH.*setting kdap\.path/);
});

test("Windows: .exe, Path, semicolons, quotes", () => {
  const s = surroundings(["C:\\Tools and more\\kdap.exe"], {
    platform: "win32",
    extensionDir: "C:\\ext",
    env: { Path: 'C:\\Windows;"C:\\Tools and more"' },
  });
  assert.equal(findProgram(s), "C:\\Tools and more\\kdap.exe");
  assert.equal(findProgram({ ...s, isProgram: (f) => f === "C:\\ext\\bin\\kdap.exe" }), "C:\\ext\\bin\\kdap.exe");
});

test("no PATH at all", () => {
  assert.throws(() => findProgram(surroundings([], { env: {} })), NotFoundError);
});
