'use strict';

/**
 * Gives Cargo.toml, Cargo.lock and the command in cli/ the version of package.json; `npm version` runs it. The addon
 * carries the one of Cargo.toml, and the loader refuses an addon of another version; the command depends on the library
 * of its own version.
 */

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const { version } = require('../package.json');

const file = path.join(root, 'Cargo.toml');
const text = fs.readFileSync(file, 'utf8');
const changed = text.replace(/^version = ".*"$/m, `version = "${version}"`);
if (!changed.includes(`\nversion = "${version}"\n`)) throw new Error('Cargo.toml has no line with its version');
fs.writeFileSync(file, changed);
execFileSync('cargo', ['update', '--workspace', '--offline'], { cwd: root, stdio: 'inherit' });

const manifest = path.join(root, 'cli', 'package.json');
const cli = JSON.parse(fs.readFileSync(manifest, 'utf8'));
cli.version = version;
cli.dependencies['@parallelizer/node'] = version;
fs.writeFileSync(manifest, `${JSON.stringify(cli, null, 2)}\n`);
execFileSync('git', ['add', 'Cargo.toml', 'Cargo.lock', 'cli/package.json'], { cwd: root, stdio: 'inherit' });
