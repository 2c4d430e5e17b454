// Compresses the built page into the folder that the Go program embeds.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const web = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(web, "dist");
const to = join(dirname(web), "internal", "page", "dist");

for (const entry of await readdir(to)) {
  if (entry !== ".gitignore") await rm(join(to, entry), { recursive: true });
}
let total = 0;
for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const file = join(entry.parentPath, entry.name);
  const body = await readFile(file);
  const target = join(to, relative(from, file));
  await mkdir(dirname(target), { recursive: true });
  await writeFile(`${target}.gz`, gzipSync(body, { level: 9 }));
  const brotli = brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: body.length } });
  await writeFile(`${target}.br`, brotli);
  total += brotli.length;
}
console.log(`the page: ${(total / 1000).toFixed(0)} kB compressed`);
