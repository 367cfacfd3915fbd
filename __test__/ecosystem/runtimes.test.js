'use strict';
// Other runtimes: what does not run there says so, before anything native is touched; and programs that hold a Node of
// their own.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { isRunning } = require('../support/helpers');
const { LIBRARY, ecosystemTest, execute, jsonLines, project, succeed } = require('./support/projects');
const { NODES, inSet, node } = require('./support/tools');

const PROGRAM = `
const library = require('@parallelizer/node');
const outcomes = [];
for (const [name, make] of Object.entries({
  processes: () => new library.Pool(1),
  threads: () => new library.Pool({ processes: 1, type: library.PARALLELIZER_THREADS }),
  inline: () => new library.Pool(0),
  parallelizer: () => new library.Parallelizer({ filePath: __filename, processBatchFunctionName: 'x' }),
  handler: () => require('@parallelizer/node/lambda').createHandler({ filePath: __filename, recordFunctionName: 'x' }),
})) {
  try {
    make();
    outcomes.push([name, 'made']);
  } catch ({ code, message }) {
    outcomes.push([name, code, message]);
  }
}
console.log(JSON.stringify(outcomes));
`;

for (const [name, set, command] of [
  ['Bun', 'bun', [inSet('bun', '@oven', `bun-${process.platform}-${process.arch}`, 'bin', 'bun'), 'run']],
  ['Deno', 'deno', [inSet('deno', '@deno', `${process.platform}-${process.arch}-glibc`, 'deno'), 'run', '--allow-all', '--no-lock']],
]) {
  ecosystemTest(`${name}: a clear error, and no more`, [set], async (t) => {
    const folder = project(t, set, { 'program.cjs': PROGRAM });
    fs.chmodSync(command[0], 0o755);
    const { code, stdout, output } = await execute(t, folder, [...command, 'program.cjs'], { env: { DENO_NO_UPDATE_CHECK: '1' } });
    const [outcomes] = jsonLines(stdout);
    assert.ok(outcomes, `exit code ${code}: ${output}`);
    for (const [what, errorCode, message] of outcomes) {
      assert.equal(errorCode, 'ERR_PARALLELIZER_PLATFORM', `${what}: ${message}`);
      assert.ok(message.includes(name), message);
      assert.match(message, /Node\.js/);
      assert.doesNotMatch(message, /npm install|--omit/);
    }
    assert.equal(code, 0);
  });
}

/** Makes a single executable of a script. */
async function singleExecutable(t, folder, major) {
  const { binary } = node(major);
  const program = path.join(folder, 'application');
  fs.copyFileSync(binary, program);
  fs.chmodSync(program, 0o755);
  fs.writeFileSync(path.join(folder, 'sea.json'), JSON.stringify({ main: 'main.js', output: 'sea.blob', disableExperimentalSEAWarning: true }));
  await succeed(t, folder, [binary, '--experimental-sea-config', 'sea.json']);
  await succeed(t, folder, [
    process.execPath, inSet('postject', 'postject', 'dist', 'cli.js'), program, 'NODE_SEA_BLOB', 'sea.blob',
    '--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
  ]);
  return program;
}

const BOMB = 12;

for (const major of NODES) {
  ecosystemTest(`a single executable of Node ${major}`, ['postject', major], async (t) => {
    const folder = project(t, 'postject', {
      'main.js': `
        const { createRequire } = require('node:module');
        const outer = createRequire(${JSON.stringify(LIBRARY)} + '/node/index.js');
        const fs = outer('node:fs');
        fs.appendFileSync(process.env.STARTS, process.pid + '\\n');
        if (fs.readFileSync(process.env.STARTS, 'utf8').split('\\n').length > ${BOMB}) process.exit(42);
        const { Pool } = outer('@parallelizer/node');
        const ask = async (options) => {
          let pool;
          try {
            pool = new Pool({ processes: 1, ...options });
            return await pool.apply((n) => n * 2, [2]);
          } catch ({ code, message }) {
            return { code, message };
          } finally {
            await pool?.terminate();
          }
        };
        (async () => {
          const outcomes = {
            plain: await ask({}), threads: await ask({ type: 'worker-threads' }), inline: await ask({ type: 'inline' }),
            named: await ask({ execPath: process.env.NODE }),
          };
          console.log(JSON.stringify(outcomes));
        })();
      `,
    });
    const program = await singleExecutable(t, folder, major);
    const starts = path.join(folder, 'starts');
    t.after(() => {
      const pids = fs.existsSync(starts) ? fs.readFileSync(starts, 'utf8').split('\n').filter(Boolean).map(Number) : [];
      for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    });
    const { stdout, output } = await execute(t, folder, [program], { env: { STARTS: starts, NODE: node(major).binary }, deadline: 60_000 });
    const count = fs.readFileSync(starts, 'utf8').split('\n').length - 1;
    assert.equal(count, 1, `it has started itself ${count - 1} times: ${output.slice(-2000)}`);
    const [{ plain, ...others }] = jsonLines(stdout);
    assert.equal(plain.code, 'ERR_PARALLELIZER_PLATFORM');
    assert.match(plain.message, /threads/i);
    assert.match(plain.message, /execPath/);
    assert.deepEqual(others, { threads: 4, inline: 4, named: 4 });
  });
}
