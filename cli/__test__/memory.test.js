'use strict';
// Memory stays flat however long the input is. `MEGABYTES=5000` has it read as much, from a pipe.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { once } = require('node:events');
const { test } = require('node:test');

const { start, within } = require('./support/command');

const MEGABYTES = Number(process.env.MEGABYTES ?? 200);
/** A seventh of the input, in megabytes, would not fit. */
const HEAP = 24;
const RECORD = `${JSON.stringify({ id: 1, text: 'x'.repeat(4000) })}\n`;
const BLOCK = RECORD.repeat(250);

/** Resident memory now, in megabytes. @param {number} pid */
function resident(pid) {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

for (const order of [[], ['--unordered']]) {
  test(`an input of ${MEGABYTES} MB, with a heap of ${HEAP} MB ${order}`, { skip: !fs.existsSync('/proc/self/status') && 'there is no /proc' }, async (t) => {
    const args = ['map', './work.js#same', '--quiet', ...order];
    const { child, ended } = start(args, { stdin: 'open', stdout: 'ignore', execArgv: [`--max-old-space-size=${HEAP}`] });
    const blocks = Math.ceil((MEGABYTES * 1e6) / BLOCK.length);
    /** @type {number[]} */
    const sizes = [];
    for (let i = 0; i < blocks; i++) {
      if (!child.stdin.write(BLOCK)) await within(once(child.stdin, 'drain'), 'the input is read');
      sizes.push(resident(/** @type {number} */ (child.pid)));
    }
    child.stdin.end();
    const { code, stderr } = await within(ended, 'the end');
    assert.equal(code, 0, stderr);
    const half = sizes.length >> 1;
    const [first, second] = [Math.max(...sizes.slice(0, half)), Math.max(...sizes.slice(half))];
    t.diagnostic(`at most ${first.toFixed()} MB in the first half, ${second.toFixed()} MB in the second`);
    // If the input were kept, the second half would add more than twice as much.
    assert.ok(second < first + MEGABYTES / 5, `${first} MB, then ${second} MB`);
  });
}
