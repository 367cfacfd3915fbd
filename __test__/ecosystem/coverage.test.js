'use strict';
// Coverage of worker modules and of functions by their source, by c8 and nyc, with and without close().

const assert = require('node:assert/strict');

const { ecosystemTest, project, succeed } = require('./support/projects');
const { inSet } = require('./support/tools');

const FILES = {
  'worker.js': `exports.work = ({ batch }) => {
  if (batch.length === 0) {
    return 'nothing';
  }
  return batch.map((n) => n * 2);
};
`,
  'own.js': 'exports.double = (n) => (n > 0 ? n * 2 : 0);\n',
};
const program = (type, end) => `
const { Parallelizer, Pool } = require('@parallelizer/node');
const { double } = require('./own.js');
(async () => {
  const parallelizer = new Parallelizer({ type: '${type}', filePath: __dirname + '/worker.js', processBatchFunctionName: 'work', parallelization: 1 });
  const pool = new Pool({ type: '${type}', processes: 1 });
  console.log(JSON.stringify([await parallelizer.run([1, 2]), await pool.map(double, [1, 2]), double(3)]));
  ${end}
})();
`;
const ENDS = { 'with close()': 'await parallelizer.close(); pool.close(); await pool.join();', 'without close()': '', 'with process.exit()': 'process.exit();' };
const TOOLS = {
  c8: [inSet('coverage', 'c8', 'bin', 'c8.js'), '--reporter=json-summary', '--include=worker.js', '--include=own.js'],
  nyc: [inSet('coverage', 'nyc', 'bin', 'nyc.js'), '--reporter=json-summary', '--include=worker.js', '--include=own.js', '--cache=false'],
};

for (const [tool, command] of Object.entries(TOOLS)) {
  for (const type of ['child-process', 'worker-threads', 'inline']) {
    for (const [what, end] of Object.entries(ENDS)) {
      ecosystemTest(`${tool}, ${type}, ${what}`, ['coverage'], async (t) => {
        const folder = project(t, 'coverage', { ...FILES, 'program.js': program(type, end) });
        const { stdout } = await succeed(t, folder, [process.execPath, ...command, process.execPath, 'program.js']);
        assert.ok(stdout.includes('[{"responses":[[2,4]],"failures":[]},[2,4],6]'), stdout);
        const summary = require(`${folder}/coverage/coverage-summary.json`);
        const of = (name) => Object.entries(summary).find(([file]) => file.endsWith(name))?.[1].lines;
        // A thread that is still there when its process exits writes nothing, as any Worker of Node.
        if (type === 'worker-threads' && what !== 'with close()') return;
        assert.ok(of('worker.js')?.covered > 0, `worker.js: ${JSON.stringify(summary)}`);
        assert.ok(of('own.js')?.pct === 100, `own.js: ${JSON.stringify(summary)}`);
      });
    }
  }
}
