'use strict';
// Mistakes on the command line: exit code 2, one line that names what is wrong and says what to do, and nothing done.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { fixtures, folder, ndjson, run } = require('./support/command');
const { version } = require('../package.json');

const MISTAKES = /** @type {[args: string[], message: RegExp][]} */ ([
  [[], /^parallelizer: say what to do: parallelizer map.*, or parallelizer --help\n$/],
  [['mpa'], /there is no command "mpa". Did you mean "map"\?/],
  [['something'], /there is no command "something". There are map/],
  [['map'], /say which function: parallelizer map \.\/work\.js#enrich/],
  [['map', 'work.js'], /"work\.js" does not say which function: write it as work\.js#NAME/],
  [['map', '#same'], /write it as \.\/work\.js#NAME/],
  [['map', 'nowhere.js#same'], /there is no file .*nowhere\.js/],
  [['map', './work.js#nothing'], /\.\/work\.js#nothing cannot be called: .* has no function "nothing"; it exports "same"/],
  [['map', './broken.js#same'], /does not load: .*this module never loads/],
  [['map', './work.js#same', 'more'], /"more" is one argument too many: the input is named by --in/],
  [['map', './work.js#same', '--worker', '3'], /--worker is no flag of "parallelizer map"\. Did you mean --workers\?/],
  [['map', './work.js#same', '-z'], /-z is no flag of "parallelizer map"\. All flags: parallelizer map --help/],
  [['map', './work.js#same', '--workers'], /--workers needs a value: write it as --workers 4/],
  [['map', './work.js#same', '--workers', '--quiet'], /--workers needs a value/],
  [['map', './work.js#same', '--workers', 'many'], /--workers many is no whole number: write it as --workers 4/],
  [['map', './work.js#same', '--workers=1025'], /is not within 0 and 1024/],
  [['map', './work.js#same', '--timeout', '5 s'], /--timeout 5 s is no duration: write it as --timeout 30s/],
  [['map', './work.js#same', '--timeout', '0'], /is no time at all/],
  [['map', './work.js#same', '--timeout', '25000h'], /is longer than timers can measure/],
  [['map', './work.js#same', '--type', 'fork'], /--type fork is none of processes, threads, inline/],
  [['map', './work.js#same', '--quiet=yes'], /--quiet is a switch and takes no value: leave out "=yes"/],
  [['map', './work.js#same', '--csv', '--json'], /--json and --csv exclude each other/],
  [['map', './work.js#same', '--delimiter', ';'], /--delimiter is for CSV: add --csv/],
  [['map', './work.js#same', '--csv', '--delimiter', ';;'], /--delimiter ;; is not one character/],
  [['map', './work.js#same', '--to', 'xml'], /--to xml is none of ndjson, lines, json/],
  [['map', './work.js#same', '--in', 'nowhere'], /--in: there is no file .*nowhere/],
  [['map', './work.js#same', '--in', '.'], /--in: .* is a directory/],
  [['map', './work.js#same', '--out', '.'], /--out: .* is a directory/],
  [['map', './work.js#same', '--out', 'no/where'], /--out: there is no directory .*no: make it first/],
  [['map', './work.js#same', '--failed', 'no/where'], /--failed: there is no directory/],
  [['map', './work.js#same', '--in', 'work.js', '--out', 'work.js'], /--in and --out name the same file/],
  [['map', './work.js#same', '--out', 'x', '--failed', 'x'], /--out and --failed name the same file/],
  [['map', './work.js#same', '--resume', '--out', 'x'], /--resume needs a file to go on with: name the input by --in/],
  [['map', './work.js#same', '--resume', '--in', 'work.js'], /--resume needs a file to go on with: name the output by --out/],
  [['map', './work.js#same', '--resume', '--in', 'work.js', '--out', '/dev/null'], /--resume needs regular files/],
  [['map', './work.js#same', '--resume', '--no-journal', '--in', 'work.js', '--out', 'x'], /leave out --no-journal/],
]);

for (const [args, message] of MISTAKES) {
  test(`parallelizer ${args.join(' ')}`, async () => {
    const before = fs.readdirSync(fixtures);
    const { code, stdout, stderr } = await run(args, { stdin: ndjson(1) });
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.match(stderr, /^parallelizer: /);
    assert.deepEqual(fs.readdirSync(fixtures), before);
  });
}

test('an output is not touched by a function that does not load', async (t) => {
  const at = folder(t);
  at('out', 'of yesterday');
  const { code } = await run(['map', './broken.js#same', '--in', at('in', ndjson(1)), '--out', at('out')]);
  assert.equal(code, 2);
  assert.equal(fs.readFileSync(at('out'), 'utf8'), 'of yesterday');
  assert.deepEqual(fs.readdirSync(path.dirname(at('out'))).sort(), ['in', 'out']);
});

test('every flag is on the help page of its command, within 80 columns', async () => {
  const { code, stdout } = await run(['--help']);
  assert.equal(code, 0);
  const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name);
  assert.ok(names.includes('map'), stdout);
  for (const name of names) {
    const { command } = require(`../lib/${name}/command`);
    for (const args of [[name, '--help'], ['help', name], [name, '--nonsense', '-h']]) {
      const page = await run(args);
      assert.equal(page.code, 0);
      assert.match(page.stdout, new RegExp(`^Usage: parallelizer ${name} `));
      for (const flag of command.groups.flatMap(({ flags }) => Object.keys(flags))) assert.ok(page.stdout.includes(`--${flag}`), flag);
      for (const line of page.stdout.split('\n')) assert.ok(line.length <= 80 || line.startsWith('  '), line);
    }
  }
  assert.equal((await run(['--version'])).stdout, `${version}\n`);
});
