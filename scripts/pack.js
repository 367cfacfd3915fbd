'use strict';

/**
 * Makes the tarballs that are published: the root package, one for each platform whose addon is there, and the
 * command's.
 *
 *   node scripts/pack.js [--addons DIRECTORY] [--out DIRECTORY] [--all]
 *
 * `--addons`: where `*.node` are (default: `dist/addons`); `--out`: where the tarballs go (default: `dist`);
 * `--all`: fail unless there is an addon for every target of package.json, and the module of the fallback. The working tree stays as it is: the root
 * package is put together in a directory of its own, since the published package.json depends on the platform packages,
 * which a clone cannot, and its JavaScript is bundled into few files (`bundle-package.js`).
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { NapiCli } = require('@napi-rs/cli');

const { bundlePackage } = require('./bundle-package');
const { canLoad, compiledBeside, compilePackage, isOf } = require('./compile-package');
const { npm, only, packFolder } = require('./npm-pack');
const { packCli } = require('./pack-cli');

const root = path.join(__dirname, '..');

/** The scheduler of the fallback, which `npm run build:wasm` makes: part of the root package. */
const MODULE = 'parallelizer.wasm';

/** Fields of package.json that only a clone has use for. */
const OF_A_CLONE = ['napi', 'scripts', 'devDependencies'];

/**
 * Adds what V8 compiles in advance to a package of a platform: what came with the addons, or else what this machine can
 * make of them. Without it a program starts later, and that is all.
 * @param {string} folder @param {{ root: string, addon: string }} from
 */
function addCompiled(folder, { root: rootFolder, addon }) {
  const compiled = path.join(folder, 'compiled');
  const found = compiledBeside(addon);
  if (fs.existsSync(found) && isOf(found, rootFolder)) fs.cpSync(found, compiled, { recursive: true });
  else if (canLoad(addon)) compilePackage(compiled, { root: rootFolder, addon }).forEach((why) => console.error(why));
  if (!fs.existsSync(compiled)) {
    console.error(`${path.basename(addon)}: nothing is compiled in advance for it, which only its own processor can do`);
    return;
  }
  const file = path.join(folder, 'package.json');
  const manifest = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.writeFileSync(file, `${JSON.stringify({ ...manifest, files: [...manifest.files, 'compiled'] }, null, 2)}\n`);
}

/**
 * @param {{ addons: string, out: string }} where
 * @returns {Promise<{ packages: ReturnType<typeof packFolder>[], missing: string[] }>} the root package is the first;
 *   `missing` names the platform packages for which there is no addon, and the module of the fallback if that is not there
 */
async function pack({ addons, out }) {
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'parallelizer-pack-'));
  try {
    fs.mkdirSync(out, { recursive: true });
    const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));

    const rootFolder = path.join(stage, 'root');
    for (const { path: file } of only(npm('pack', root, '--dry-run')).files) {
      if (file.endsWith('.js')) continue;
      fs.mkdirSync(path.dirname(path.join(rootFolder, file)), { recursive: true });
      fs.copyFileSync(path.join(root, file), path.join(rootFolder, file));
    }
    await bundlePackage(rootFolder);
    fs.writeFileSync(path.join(stage, 'package.json'), JSON.stringify(manifest));
    await new NapiCli().createNpmDirs({ cwd: stage, npmDir: 'npm' });

    /** @type {Record<string, string>} */
    const optionalDependencies = {};
    const folders = [rootFolder];
    const missing = fs.existsSync(path.join(rootFolder, MODULE)) ? [] : [MODULE];
    for (const platform of fs.readdirSync(path.join(stage, 'npm')).sort()) {
      const folder = path.join(stage, 'npm', platform);
      const { name, version, main } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
      optionalDependencies[name] = version;
      if (!fs.existsSync(path.join(addons, main))) {
        missing.push(name);
        continue;
      }
      fs.copyFileSync(path.join(addons, main), path.join(folder, main));
      fs.copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
      addCompiled(folder, { root: rootFolder, addon: path.join(addons, main) });
      folders.push(folder);
    }
    for (const field of OF_A_CLONE) delete manifest[field];
    const published = { ...manifest, optionalDependencies };
    fs.writeFileSync(path.join(rootFolder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
    return { packages: folders.map((folder) => packFolder(folder, out)), missing };
  } finally {
    fs.rmSync(stage, { recursive: true, force: true });
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      addons: { type: 'string', default: path.join(root, 'dist', 'addons') },
      out: { type: 'string', default: path.join(root, 'dist') },
      all: { type: 'boolean', default: false },
    },
  });
  const out = path.resolve(values.out);
  const { packages, missing } = await pack({ addons: path.resolve(values.addons), out });
  for (const { tarball, size, unpackedSize } of [...packages, await packCli(out)]) {
    console.log(`${tarball}: ${Math.ceil(size / 1024)} KiB packed, ${Math.ceil(unpackedSize / 1024)} KiB unpacked`);
  }
  for (const name of missing) console.log(`${name}: left out, it is not built, or not in ${values.addons}`);
  if (values.all && missing.length > 0) {
    console.error(`--all: ${missing.join(', ')} cannot be packed`);
    process.exitCode = 1;
  }
}

module.exports = { pack };
if (require.main === module) main();
