'use strict';
// The tests of `node --watch`, for any version of Node: a change to a file that only workers load restarts the program,
// as a change to its own files does.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { test } = require('node:test');

const { root, temporary, waitFor } = require('./helpers');

const MODULES = {
  'a CommonJS module': {
    file: 'worker.js',
    text: (n) => `const own = require('./own.js');\nexports.work = () => ${n} + own;`,
    own: 'own.js',
    ownText: 'module.exports = 0;',
  },
  'an ES module': {
    file: 'worker.mjs',
    text: (n) => `import own from './own.mjs';\nexport const work = () => ${n} + own;`,
    own: 'own.mjs',
    ownText: 'export default 0;',
  },
};

/** @param {{ type: string }} mode @param {string} binary of a Node @param {number} major its version */
function watchTests(mode, binary, major) {
  const skip = mode.type === 'worker-threads' && major < 24 &&
    `Node ${major} reports nothing of what threads load, whoever starts them`;
  for (const [what, { file, text, own, ownText }] of Object.entries(MODULES)) {
    for (const changed of ['itself', 'what it loads']) {
      test(`${what}: ${changed}`, { skip }, async (t) => {
        const dir = temporary(t);
        fs.writeFileSync(path.join(dir, file), text(1));
        fs.writeFileSync(path.join(dir, own), ownText);
        fs.writeFileSync(path.join(dir, 'program.js'), `
          const { Parallelizer } = require(${JSON.stringify(root)});
          const parallelizer = new Parallelizer({
            type: ${JSON.stringify(mode.type)}, filePath: __dirname + '/${file}', processBatchFunctionName: 'work', parallelization: 2,
          });
          parallelizer.run([1, 2]).then(({ responses, failures }) => {
            console.log('RAN ' + JSON.stringify([...responses, ...failures]));
          });
          setInterval(() => {}, 1000);
        `);
        const { NODE_TEST_CONTEXT, NODE_OPTIONS, ...env } = process.env;
        const stdio = ['ignore', 'pipe', 'pipe'];
        const watcher = spawn(binary, ['--watch', 'program.js'], { cwd: dir, env, stdio, detached: true });
        let output = '';
        for (const stream of [watcher.stdout, watcher.stderr]) {
          stream.setEncoding('utf8').on('data', (chunk) => (output += chunk));
        }
        t.after(() => {
          try {
            process.kill(-watcher.pid, 'SIGKILL');
          } catch (error) {
            assert.equal(error.code, 'ESRCH');
          }
        });
        await waitFor(() => output.includes('RAN [1,1]'), `the first run\n${output}`);
        // Until it is seen: a watch that has just begun may miss a change.
        const change = () => {
          if (changed === 'itself') fs.writeFileSync(path.join(dir, file), text(2));
          else fs.writeFileSync(path.join(dir, own), ownText.replace('0', '1'));
        };
        let tries = 0;
        await waitFor(() => {
          if (tries++ % 40 === 0) change();
          return output.includes('RAN [2,2]');
        }, 'the second run').catch((error) => {
          error.message += `\n${output}`;
          throw error;
        });
      });
    }
  }
}

module.exports = { watchTests };
