'use strict';

/**
 * Makes the tarball of `@parallelizer/cli` that is published: `node scripts/pack-cli.js [--out DIRECTORY]` (default:
 * `dist`). `scripts/pack.js` does it as well.
 *
 * In a checkout the command requires the library by its place, and a few of its files that are not for the public. In
 * what is published the library is a dependency, and a file of the command that requires such files has them bundled
 * in. All other files are as they are here.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const esbuild = require('esbuild');

const { npm, only, packFolder } = require('./npm-pack');

const root = path.join(__dirname, '..');
const folder = path.join(root, 'cli');
const library = require('../package.json');

/** What is required by its place in a checkout, and by this name once it is published. @type {Map<string, string>} */
const ENTRIES = new Map(
  Object.entries(library.exports).flatMap(([entry, target]) => {
    const file = typeof target === 'string' ? target : target.default;
    return [[path.join(root, file), path.posix.join(library.name, entry)]];
  }),
);

/** @param {string} file */
const isOwn = (file) => file.startsWith(folder + path.sep);

/** @type {esbuild.Plugin} */
const outside = {
  name: 'outside',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ path: wanted, resolveDir, kind }) => {
      if (kind === 'entry-point') return null;
      const file = require.resolve(path.resolve(resolveDir, wanted));
      if (isOwn(file)) return { path: wanted, external: true };
      const entry = ENTRIES.get(file);
      return entry === undefined ? null : { path: entry, external: true };
    });
  },
};

/** A file as it is published. @param {string} file absolute */
async function published(file) {
  const text = fs.readFileSync(file, 'utf8');
  const reachesOut = [...text.matchAll(/\brequire\('(\.[^']*)'\)/g)].some(
    ([, wanted]) => !isOwn(path.resolve(path.dirname(file), wanted)),
  );
  if (!reachesOut) return text;
  const { outputFiles } = await esbuild.build({
    entryPoints: [file],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    write: false,
    plugins: [outside],
  });
  return outputFiles[0].text;
}

/**
 * @param {string} out
 * @returns {Promise<ReturnType<typeof packFolder>>}
 */
async function packCli(out) {
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-pack-cli-'));
  try {
    fs.mkdirSync(out, { recursive: true });
    for (const { path: name } of only(npm('pack', folder, '--dry-run')).files) {
      const file = path.join(stage, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.copyFileSync(path.join(folder, name), file);
      if (name.endsWith('.js')) fs.writeFileSync(file, await published(path.join(folder, name)));
    }
    fs.copyFileSync(path.join(root, 'LICENSE'), path.join(stage, 'LICENSE'));
    return packFolder(stage, out);
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
}

module.exports = { packCli };
if (require.main === module) {
  const { values } = parseArgs({ options: { out: { type: 'string', default: path.join(root, 'dist') } } });
  packCli(path.resolve(values.out)).then(({ tarball }) => console.log(tarball));
}
