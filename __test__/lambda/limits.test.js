'use strict';
// Lambda's limits, used up: work goes on with what there is, or is rejected with an error that says what was missing,
// and everything works once there is enough again.

const assert = require('node:assert/strict');

const { lambdaTest, startEnvironment } = require('./support/environment');

const LARGE = 2 ** 20;
const fine = (...responses) => ({ responses, errors: [] });

lambdaTest(
  'a worker that was left without threads as it started is replaced once nothing is heard of it',
  { boxed: true },
  async (t) => {
    const lambda = await startEnvironment(t, { handler: 'limits.threads', boxed: true, megabytes: 3538 });
    const { wasStuck, answer } = await lambda.respond({}, { timeout: 100_000 });
    assert.ok(wasStuck, 'the case is set up');
    assert.deepEqual(answer, fine(1));
  },
);

for (const type of ['child-process', 'worker-threads']) {
  const start = (t, handler, options = {}) =>
    startEnvironment(t, {
      handler: `limits.${handler}`,
      megabytes: 3538,
      env: { TEST_OPTIONS: JSON.stringify({ type }) },
      ...options,
    });
  const died = ({ errors }) =>
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['ERR_PARALLELIZER_WORKER_EXITED'],
    );

  /** While nothing is left, no worker can be started; the error says why. */
  const refused = ({ responses, errors }, cause) => {
    assert.deepEqual(responses, []);
    assert.equal(errors.length, 1);
    assert.match(`${errors[0].message} ${errors[0].cause}`, cause);
  };

  lambdaTest(`${type}: no descriptor is left of 1,024`, { boxed: true }, async (t) => {
    const lambda = await start(t, 'descriptors', { boxed: true });
    const said = await lambda.respond({});
    assert.ok(said.held > 900 && said.held < 1024, `${said.held}`);
    assert.deepEqual(said.small, fine(1, 2));
    assert.deepEqual(said.large, fine(LARGE, LARGE));
    refused(said.cold, /EMFILE/);
    died(said.death);
    assert.deepEqual(said.withTheOther, fine(4));
    assert.deepEqual(said.released, fine(5, 6));
    assert.deepEqual(said.coldReleased, fine(7, 8));
  });

  lambdaTest(`${type}: no process or thread is left of 1,024`, { boxed: true }, async (t) => {
    const lambda = await start(t, 'processes', { boxed: true });
    const said = await lambda.respond({});
    assert.equal(said.refused, 'EAGAIN');
    assert.ok(said.held > 900 && said.held < 1024, `${said.held}`);
    assert.deepEqual(said.small, fine(1, 2));
    assert.deepEqual(said.large, fine(LARGE, LARGE));
    refused(said.cold, /EAGAIN|ERR_WORKER_INIT_FAILED/);
    died(said.death);
    assert.deepEqual(said.withTheOther, fine(4));
    assert.deepEqual(said.released, fine(5, 6));
    assert.deepEqual(said.coldReleased, fine(7, 8));
  });

  for (const boxed of [true, false]) {
    lambdaTest(`${type}${boxed ? '' : ', no box'}: all of libuv's threads are blocked`, { boxed }, async (t) => {
      const lambda = await start(t, 'libuv', { boxed });
      const said = await lambda.respond({});
      assert.ok(said.wasBlocked, 'the case is set up');
      assert.deepEqual(said.cold, fine(1, 2));
      assert.deepEqual(said.warm, fine(LARGE, 4));
      died(said.death);
      assert.deepEqual(said.death.responses, [5]);
      assert.deepEqual(said.after, fine(6, 7));
    });
  }

  const sandbox = { uid: 993, user: 'ERR_SYSTEM_ERROR', home: 'ERR_SYSTEM_ERROR', code: 'EROFS', shm: false };
  for (const writableTmp of [true, false]) {
    // Without memfd_create, shared memory would be a file in /tmp.
    const deny = writableTmp ? undefined : { calls: ['memfd_create'], errno: 'EPERM' };
    const what = writableTmp ? '' : ' but a read-only /tmp, no memfd_create';
    lambdaTest(
      `${type}: a user without a name, read-only code, no /dev/shm${what}`,
      { boxed: true, deny },
      async (t) => {
        const lambda = await start(t, 'sandbox', { boxed: true, deny, writableTmp });
        const { small, large, death, after, tmp, ...said } = await lambda.respond({});
        assert.deepEqual({ ...said, tmp }, { ...sandbox, tmp: writableTmp ? null : 'EROFS' }, 'the case is set up');
        assert.deepEqual(small, fine(1, 2));
        assert.deepEqual(large, fine(LARGE, LARGE));
        died(death);
        assert.deepEqual(death.responses, [5]);
        assert.deepEqual(after, fine(6, 7));
      },
    );
  }
}
