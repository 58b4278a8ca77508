import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, it } from "vitest";

import manifest from "../../package.json";

const COMMITTED = "src/api/schema.d.ts";

it("has the types that the API's document gives; if not, run `make types`", () => {
  const [program = "", ...words] = manifest.scripts.generate.split(" ");
  expect(words.at(-1)).toBe(COMMITTED);
  const folder = mkdtempSync(join(tmpdir(), "schema-"));
  try {
    const output = join(folder, "schema.d.ts");
    execFileSync(join("node_modules/.bin", program), [...words.slice(0, -1), output]);
    const same = readFileSync(output).equals(readFileSync(COMMITTED));
    expect(same, `${COMMITTED} is not what openapi.json gives: run \`make types\``).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 30_000);
