'use strict';
// If the sandbox denies system calls of newer kernels (it is not known which of them Lambda allows), everything works
// without them: large values, deaths, many descriptors.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { lambdaTest, startEnvironment } = require('./support/environment');

const CALLS = ['memfd_create', 'pidfd_open', 'close_range', 'fallocate'];
const LARGE = 2 * 2 ** 20;

for (const boxed of [false, true]) {
  for (const errno of ['EPERM', 'ENOSYS']) {
    for (const type of ['child-process', 'worker-threads']) {
      const deny = { errno, calls: CALLS };
      lambdaTest(`${type}${boxed ? ', boxed' : ''}: ${CALLS.join(', ')} give ${errno}`, { boxed, deny }, async (t) => {
        const lambda = await startEnvironment(t, {
          handler: 'bytes.handler',
          boxed,
          deny,
          env: { TEST_OPTIONS: JSON.stringify({ type }) },
        });
        const { sums, lengths } = await lambda.respond({ bytes: LARGE, count: 4 });
        for (const pid of [lambda.runtimePid(), ...lambda.workers()]) {
          assert.match(fs.readFileSync(`/proc/${pid}/status`, 'utf8'), /^Seccomp:\s2$/m, 'the case is set up');
        }
        assert.deepEqual(lengths, [LARGE, LARGE, LARGE, LARGE]);
        assert.deepEqual(sums, [0, 1, 2, 3].map((byte) => byte * LARGE));
        // Deaths are noticed without a pidfd, and a worker is started for the one that died.
        const { killed } = await lambda.respond({ kill: true });
        assert.deepEqual(killed, ['ERR_PARALLELIZER_WORKER_EXITED']);
        assert.deepEqual((await lambda.respond({ bytes: 10, count: 2 })).lengths, [10, 10]);
      });
    }
  }
}
