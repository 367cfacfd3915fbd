'use strict';
// What workers inherit from the process that AWS's runtime client runs in, and what they must not: its connection, its
// claim on the memory, its agents where they are not wanted.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { lambdaTest, startEnvironment } = require('./support/environment');
const { gone, waitFor } = require('../support/helpers');

const MB = 2 ** 20;
const look = { filePath: 'fixtures/environment.js', processBatchFunctionName: 'look' };
const options = (more) => ({ TEST_OPTIONS: JSON.stringify({ ...look, ...more }) });

/** What the descriptors of a process are: { 3: 'socket:[12345]', … }. */
function descriptors(pid) {
  const directory = `/proc/${pid}/fd`;
  return Object.fromEntries(fs.readdirSync(directory).map((fd) => [fd, fs.readlinkSync(`${directory}/${fd}`)]));
}

/** The inodes of TCP sockets, as descriptors name them. */
const tcpSockets = () =>
  new Set(
    fs
      .readFileSync('/proc/net/tcp', 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`),
  );

for (const client of [3, 4]) {
  lambdaTest(
    `client ${client}: workers started during an invocation do not hold the runtime's connection`,
    { client },
    async (t) => {
      const lambda = await startEnvironment(t, {
        handler: 'run.awaited',
        client,
        env: { TEST_OPTIONS: '{ "parallelization": 2 }' },
      });
      // The first ones start before there is a connection; those that replace them, with it.
      await lambda.initialised();
      const first = lambda.workers();
      const { responses: ended } = await lambda.respond({
        batch: [
          { do: 'exitAfterReply', code: 0 },
          { do: 'exitAfterReply', code: 0 },
        ],
      });
      // A worker that replaces one of them may have had the other record, and ends as well.
      await Promise.all([...first, ...ended].map((pid) => gone(pid)));
      const gate = `${lambda.tmp}/gate`;
      const pending = lambda.respond({
        batch: [
          { do: 'gate', file: gate, value: 1 },
          { do: 'gate', file: gate, value: 2 },
        ],
      });
      await waitFor(
        () => fs.existsSync(`${gate}.started`) && fs.readFileSync(`${gate}.started`, 'utf8').split('\n').length === 3,
        'two workers',
      );
      const known = tcpSockets();
      const ofRuntime = Object.values(descriptors(lambda.runtimePid()));
      assert.ok(
        ofRuntime.some((target) => known.has(target)),
        `the case is set up: ${ofRuntime}`,
      );
      const workers = lambda.workers();
      assert.equal(workers.length, 2);
      for (const pid of workers) {
        const own = descriptors(pid);
        assert.deepEqual(
          Object.values(own).filter((target) => known.has(target)),
          [],
        );
        // Besides the standard three, only the page with the progress is shared with the runtime.
        const beyond = Object.entries(own).filter(([fd]) => Number(fd) > 2);
        const shared = beyond.filter(
          ([, target]) => ofRuntime.includes(target) && !/^anon_inode:|^\/memfd:|^\/dev\//.test(target),
        );
        assert.deepEqual(shared, []);
      }
      fs.writeFileSync(`${gate}.go`, '');
      const answer = await pending;
      assert.deepEqual(answer.responses, [1, 2], JSON.stringify(answer));
    },
  );
}

for (const type of ['child-process', 'worker-threads']) {
  for (const [megabytes, workers] of [[512, 1], [1769, 1], [3538, 2]]) {
    lambdaTest(`${type}: at ${megabytes} MB the heaps of ${workers} fit into the memory`, {}, async (t) => {
      const lambda = await startEnvironment(t, { handler: 'run.awaited', megabytes, env: options({ type }) });
      const asked = async (what) => {
        const { responses, failures } = await lambda.respond({ batch: [what] });
        assert.deepEqual(failures, []);
        return responses[0];
      };
      assert.equal((await lambda.respond({ stats: true })).workers.length, workers);
      const limit = await asked('heapLimit');
      // Lambda's own flag would give each of them 90 % of it.
      assert.ok(limit * workers < megabytes * MB, `${workers} × ${limit / MB} MB`);
      assert.ok(limit * workers > megabytes * MB * 0.6, `${workers} × ${limit / MB} MB`);
      // A thread shows the flags of its process, whether or not they apply to it.
      const flags = type === 'child-process' ? await asked('execArgv') : [];
      assert.deepEqual(flags.filter((flag) => lambda.nodeFlags.includes(flag) || flag.includes('semi-space')), []);
    });
  }
}

lambdaTest('without a count there are as many workers as the memory buys', {}, async (t) => {
  for (const [megabytes, count] of [[128, 1], [512, 1], [1769, 1], [2600, 1], [3538, 2]]) {
    const lambda = await startEnvironment(t, { handler: 'run.awaited', megabytes });
    assert.equal((await lambda.respond({ stats: true })).workers.length, count, `${megabytes} MB`);
    await lambda.end();
  }
});

lambdaTest('agents in NODE_OPTIONS start in workers too, unless env says otherwise', {}, async (t) => {
  for (const [env, expected] of [[undefined, [true]], [{ NODE_OPTIONS: '' }, [false]], [{}, [false]]]) {
    const lambda = await startEnvironment(t, {
      handler: 'run.awaited',
      env: {
        NODE_OPTIONS: '--require ./agent.js',
        TEST_OPTIONS: JSON.stringify({ filePath: 'watched.js', processBatchFunctionName: 'isWatched', env }),
      },
    });
    const { responses, failures } = await lambda.respond({ batch: [1] });
    assert.deepEqual([responses, failures], [expected, []], JSON.stringify(env));
    await lambda.end();
  }
});
