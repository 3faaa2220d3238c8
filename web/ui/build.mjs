// Builds the page into dist: hashed names, compressed assets, one index.html that names them. The empty .gitkeep stays.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
const budget = 60 * 1024; // bytes of JavaScript and CSS as they are sent

for (const name of await readdir(dist)) {
  if (name !== '.gitkeep') await rm(join(dist, name), { recursive: true });
}
await mkdir(join(dist, 'assets'), { recursive: true });

const made = await build({
  entryPoints: { app: join(here, 'src/main.tsx'), style: join(here, 'src/style.css') },
  bundle: true,
  minify: true,
  write: false,
  format: 'esm',
  target: ['chrome123', 'firefox120', 'safari17.5'], // the first with light-dark()
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none', // licenses.txt holds the notices of what is bundled
  outdir: dist,
  logLevel: 'warning',
});

const files = made.outputFiles.map((f) => [basename(f.path), Buffer.from(f.contents)]);
files.push(['icon.svg', await readFile(join(here, 'src/icon.svg'))]);
files.push(['licenses.txt', Buffer.from(await licenses())]);

let sent = 0;
const named = new Map();
for (const [name, content] of files) {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 10);
  const ext = extname(name);
  const asset = `assets/${basename(name, ext)}-${hash}${ext}`;
  const packed = gzipSync(content, { level: 9 });
  await writeFile(join(dist, `${asset}.gz`), packed);
  await writeFile(join(dist, `${asset}.br`), brotliCompressSync(content)); // the best and slowest by default (node:zlib)
  named.set(name, asset);
  if (ext === '.js' || ext === '.css') sent += packed.length;
  console.log(`${asset}  ${content.length} B, ${packed.length} B compressed`);
}
if (sent > budget) throw new Error(`JavaScript and CSS are ${sent} bytes compressed, more than ${budget}: leave something away`);

const index = (await readFile(join(here, 'src/index.html'), 'utf8')).replace(/%(\w+\.\w+)%/g, (_, name) => {
  if (!named.has(name)) throw new Error(`index.html names ${name}, which was not built`);
  return '/' + named.get(name);
});
await writeFile(join(dist, 'index.html'), index);
console.log(`JavaScript and CSS: ${sent} of ${budget} bytes`);

async function licenses() {
  const parts = [];
  for (const name of ['preact', '@preact/signals', '@preact/signals-core', 'uplot']) {
    const dir = join(here, 'node_modules', name);
    const { version } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
    parts.push(`${name} ${version}\n\n${await readFile(join(dir, 'LICENSE'), 'utf8')}`);
  }
  return parts.join('\n----\n\n');
}
