// Bundles the extension into out/extension.js; with --tests also the unit
// tests into out/test. Type checking is tsc's work (npm run check).
import { build } from "esbuild";
import { readdirSync, rmSync } from "node:fs";

const common = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  logLevel: "warning",
};

rmSync("out", { recursive: true, force: true });
await build({ ...common, entryPoints: ["src/extension.ts"], outfile: "out/extension.js", minify: true });

if (process.argv.includes("--tests")) {
  const tests = readdirSync("src/test").filter((f) => f.endsWith(".test.ts"));
  await build({ ...common, entryPoints: tests.map((f) => `src/test/${f}`), outdir: "out/test", sourcemap: "inline" });
}
