'use strict';
// Under `node --watch` the files that workers load are reported to the watching process, as the program's own are, and a
// change to one of them restarts the program.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { test } = require('node:test');

const { root, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { watchTests } = require('./support/watch');

forEachMode((mode) => {
  for (const name of ['work.js', 'work.mjs']) {
    test(`${name}, what it loads, and a task by its path`, async (t) => {
      const dir = fs.realpathSync(temporary(t));
      const file = (each) => path.join(dir, each);
      fs.writeFileSync(file('own.js'), 'exports.value = 1;');
      fs.writeFileSync(file('work.js'), "const { value } = require('./own.js'); exports.work = () => value;");
      fs.writeFileSync(file('work.mjs'), "import { value } from './own.js'; export const work = () => value;");
      fs.writeFileSync(file('task.js'), 'exports.task = (n) => n;');
      fs.writeFileSync(file('program.js'), `
        const { Parallelizer, Pool } = require(${JSON.stringify(root)});
        (async () => {
          const type = ${JSON.stringify(mode.type)};
          const parallelizer = new Parallelizer({ type, filePath: ${JSON.stringify(file(name))}, processBatchFunctionName: 'work', parallelization: 1 });
          const { responses } = await parallelizer.run([1]);
          await parallelizer.close();
          const pool = new Pool({ type, processes: 1 });
          responses.push(await pool.apply(${JSON.stringify(`${file('task.js')}#task`)}, [2]));
          pool.close();
          await pool.join();
          process.send({ responses }, () => process.disconnect());
        })();`);
      // What the watch mode sets for the program that it starts.
      const { NODE_TEST_CONTEXT, NODE_OPTIONS, ...env } = process.env;
      const child = fork(file('program.js'), { env: { ...env, WATCH_REPORT_DEPENDENCIES: '1' }, execArgv: [] });
      t.after(() => child.kill('SIGKILL'));
      const reported = new Set();
      let responses;
      child.on('message', (message) => {
        for (const each of message['watch:require'] ?? message['watch:import'] ?? []) reported.add(each);
        responses ??= message.responses;
      });
      await within(new Promise((resolve) => child.once('exit', resolve)), 'the program');
      assert.deepEqual(responses, [1, 2]);
      for (const each of [name, 'own.js', 'task.js']) {
        assert.ok(reported.has(file(each)) || reported.has(pathToFileURL(file(each)).href), `${each} among ${[...reported]}`);
      }
    });
  }
});

forEachMode((mode) => watchTests(mode, process.execPath, Number.parseInt(process.versions.node, 10)), { needs: 'hasWorkers' });
