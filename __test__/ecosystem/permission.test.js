'use strict';
// Node's permission model: a program that may what it needs runs, one that may not is told which flag is missing.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { LIBRARY, ecosystemTest, execute, jsonLines, project, succeed } = require('./support/projects');
const { NODES, node } = require('./support/tools');

const program = (type) => `
const { Parallelizer, Pool } = require('@parallelizer/node');
(async () => {
  const outcome = async (act) => { try { return await act(); } catch ({ code, message }) { return { code, message }; } };
  const ran = await outcome(async () => {
    const parallelizer = new Parallelizer({ type: '${type}', filePath: __dirname + '/worker.js', processBatchFunctionName: 'work', parallelization: 1 });
    const { responses, errors } = await parallelizer.run([1, 2]);
    await parallelizer.terminate();
    if (errors.length > 0) throw errors[0];
    return responses;
  });
  const applied = await outcome(async () => {
    const pool = new Pool({ type: '${type}', processes: 1 });
    try { return await pool.apply((n) => n * 2, [2]); } finally { await pool.terminate(); }
  });
  console.log(JSON.stringify({ ran, applied }));
})();
`;

/** All that a mode needs, by the flag that grants it; the folder of the project has no package.json above it that may be read. */
const NEEDS = {
  'child-process': { '--allow-addons': /--allow-addons/, '--allow-child-process': /--allow-child-process/ },
  'worker-threads': { '--allow-addons': /--allow-addons/, '--allow-worker': /--allow-worker|worker/i },
  inline: { '--allow-addons': /--allow-addons/ },
};

for (const major of NODES.filter((version) => version >= 22)) {
  for (const [type, needs] of Object.entries(NEEDS)) {
    const setUp = (t) => {
      // All of it is in the project's folder, above which nothing may be read.
      const folder = project(t, null, { 'worker.js': 'exports.work = ({ batch }) => batch.map((n) => n * 2);', 'program.js': program(type) });
      fs.rmSync(path.join(folder, 'package.json'));
      fs.cpSync(LIBRARY, path.join(folder, 'node_modules', '@parallelizer'), { recursive: true });
      const read = ['--allow-fs-read', `${folder}/*`];
      return { folder, command: (flags) => [node(major).binary, '--no-warnings', '--permission', ...read, ...flags, 'program.js'] };
    };

    ecosystemTest(`Node ${major}, ${type}: with the permissions that it needs`, [major], async (t) => {
      const { folder, command } = setUp(t);
      const { stdout, stderr } = await succeed(t, folder, command(Object.keys(needs)));
      assert.deepEqual(jsonLines(stdout), [{ ran: [[2, 4]], applied: 4 }], stderr);
    });

    for (const [missing, pattern] of Object.entries(needs)) {
      ecosystemTest(`Node ${major}, ${type}: without ${missing}`, [major], async (t) => {
        const { folder, command } = setUp(t);
        const { stdout, output } = await execute(t, folder, command(Object.keys(needs).filter((flag) => flag !== missing)));
        const [found] = jsonLines(stdout);
        assert.ok(found, output);
        for (const { code, message } of Object.values(found)) {
          assert.match(String(code), /ERR_PARALLELIZER_PLATFORM|ERR_ACCESS_DENIED/);
          assert.match(message, pattern);
          assert.doesNotMatch(message, /npm install/);
        }
      });
    }

    ecosystemTest(`Node ${major}, ${type}: a worker may no more than its parent`, [major], async (t) => {
      const { folder, command } = setUp(t);
      const peek = "exports.work = () => { try { return require('node:fs').readFileSync('/etc/hostname', 'utf8').length; } catch ({ code }) { return code; } };";
      fs.writeFileSync(path.join(folder, 'worker.js'), peek);
      const { stdout } = await succeed(t, folder, command(Object.keys(needs)));
      assert.deepEqual(jsonLines(stdout)[0].ran, ['ERR_ACCESS_DENIED']);
    });
  }
}
