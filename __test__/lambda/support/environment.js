'use strict';
// One execution environment of Lambda: AWS's runtime client with one of the functions in ../functions, deployed as a
// package with what npm would publish, talking to the Runtime API of this process. In a box with Lambda's limits if
// that is possible (`boxed`), otherwise as a plain process.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { test } = require('node:test');

const { childrenOf, fixture, isRunning, root, stat, temporary, waitFor, within } = require('../../support/helpers');
const { MEGABYTES_PER_CPU, makeGroups } = require('./cgroups');
const { clientFor, denyTool } = require('./runtime-clients');
const { RuntimeApi } = require('./runtime-api');

const FUNCTIONS = path.join(__dirname, '..', 'functions');
const BOX = path.join(__dirname, 'box.sh');
const PROCESSES = 1024;

/** A deployment package, made once per test file: the functions, and the library as npm would install it. */
let deployed;
function deployment() {
  if (deployed !== undefined) return deployed;
  const task = fs.mkdtempSync('/tmp/parallelizer-task-');
  process.on('exit', () => fs.rmSync(task, { recursive: true, force: true }));
  fs.chmodSync(task, 0o755);
  fs.cpSync(FUNCTIONS, task, { recursive: true });
  for (const name of ['act.js', 'environment.js']) fs.cpSync(fixture(name), path.join(task, 'fixtures', name));
  const listing = execFileSync('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const files = JSON.parse(listing)[0].files.map((file) => file.path);
  const addons = fs.readdirSync(root).filter((name) => name.endsWith('.node'));
  for (const file of new Set([...files, ...addons])) {
    fs.cpSync(path.join(root, file), path.join(task, 'node_modules', '@parallelizer', 'node', file));
  }
  return (deployed = task);
}

/** Why there can be no box with these limits, or null. Asked once. */
let boxAnswer;
function whyNoBox() {
  boxAnswer ??= { reason: tryBox() };
  return boxAnswer.reason;
}

function tryBox() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return 'the box needs root on Linux';
  const probe = spawnSync('unshare', ['--mount', '--pid', '--fork', 'mount', '--make-rprivate', '/'], {
    encoding: 'utf8',
  });
  if (probe.status !== 0) return `no namespaces here: ${probe.error?.message ?? probe.stderr.trim()}`;
  const groups = makeGroups(`parallelizer-probe-${process.pid}`, { megabytes: 512, processes: PROCESSES });
  groups.remove().catch(() => {});
  return groups.missing.length > 0 ? `control groups: ${groups.missing.join('; ')}` : null;
}

let count = 0;

/**
 * Starts an environment. Its output so far is in `output`.
 * @param {import('node:test').TestContext} t
 * @param {object} options
 * @param {string} options.handler as in Lambda's settings: 'file.export'
 * @param {string} [options.task] the deployment package, if it is not that of ../functions
 * @param {3 | 4} [options.client]
 * @param {number} [options.megabytes]
 * @param {boolean} [options.boxed]
 * @param {Record<string, string>} [options.env]
 * @param {string[]} [options.nodeFlags] in place of Lambda's own
 * @param {{ calls: string[], errno: 'ENOSYS' | 'EPERM' }} [options.deny]
 * @param {boolean} [options.writableTmp]
 */
async function startEnvironment(t, options) {
  const {
    client = 3,
    megabytes = MEGABYTES_PER_CPU,
    boxed = false,
    handler,
    env = {},
    deny,
    writableTmp = true,
  } = options;
  const { missing, directory: runtime, node, main } = clientFor(client);
  if (missing) throw new Error(missing);
  const name = `parallelizer-${process.pid}-${++count}`;
  const scratch = temporary(t);
  const tmp = path.join(scratch, 'tmp');
  fs.mkdirSync(tmp);
  fs.chmodSync(tmp, 0o1777);
  fs.mkdirSync(path.join(scratch, 'root'));
  const task = options.task ?? deployment();

  const places = boxed
    ? { runtime: '/var/runtime', task: '/var/task', node: '/var/lang/bin/node', tools: '/opt/tools', tmp: '/tmp' }
    : { runtime, task, node, tools: path.dirname(denyTool().path ?? '/'), tmp };
  // As Lambda does it.
  const nodeFlags = options.nodeFlags ?? [
    `--max-old-space-size=${Math.floor(megabytes * 0.9)}`,
    `--max-semi-space-size=${Math.floor(megabytes * 0.05)}`,
  ];
  const denied =
    deny === undefined
      ? []
      : [path.join(places.tools, 'deny'), ...deny.calls.map((call) => `${call}=${os.constants.errno[deny.errno]}`)];
  const command = [...denied, places.node, ...nodeFlags, path.join(places.runtime, main), handler];

  const groups = boxed ? makeGroups(name, { megabytes, processes: PROCESSES }) : null;
  const [program, ...args] = boxed
    ? [
        'sh',
        BOX,
        path.join(scratch, 'root'),
        groups.directories.join(' '),
        task,
        runtime,
        node,
        path.dirname(denyTool().path ?? task),
        writableTmp ? tmp : '-',
        ...command,
      ]
    : command;

  const api = await RuntimeApi.start(() => environment.kill());
  const child = spawn(program, args, {
    cwd: boxed ? '/' : task,
    // In its own process group, which is what is killed at a timeout.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin',
      LANG: 'en_US.UTF-8',
      TZ: ':UTC',
      AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${client === 3 ? 20 : 24}.x`,
      AWS_LAMBDA_FUNCTION_NAME: 'tested',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(megabytes),
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/tested',
      AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]0123456789abcdef',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_RUNTIME_API: api.address,
      AWS_REGION: 'eu-central-1',
      LAMBDA_TASK_ROOT: places.task,
      LAMBDA_RUNTIME_DIR: places.runtime,
      _HANDLER: handler,
      TEST_TMP: places.tmp,
      ...env,
    },
  });

  const environment = {
    api,
    /** What Node was started with. */
    nodeFlags,
    /** What the function sees as /tmp. */
    tmp,
    output: '',
    lines: () => environment.output.split('\n').filter(Boolean),
    invoke: (event, invocation) =>
      within(
        api.invoke(event, invocation),
        `the invocation\n${environment.output.slice(-2000)}`,
        (invocation?.timeout ?? 60_000) + 10_000,
      ),
    /** Invokes the function and returns the response; any other outcome is a failure. */
    async respond(event, invocation) {
      const outcome = await environment.invoke(event, invocation);
      if (outcome.status === 'response') return outcome.body;
      throw new Error(
        `the invocation ended with '${outcome.status}': ${JSON.stringify(outcome.body)}\n${environment.output.slice(-3000)}`,
      );
    },
    /** Resolves once the runtime waits for an invocation. */
    initialised: () =>
      within(
        Promise.race([
          api.asked(),
          exited.then(() => Promise.reject(new Error(`ended at once\n${environment.output}`))),
        ]),
        'the runtime to start',
      ),
    /** Everything that runs in it. */
    processes: () => processesOf(child.pid),
    runtimePid: () =>
      environment
        .processes()
        .find((pid) => commandOf(pid).startsWith(`${places.node} `) && commandOf(pid).includes(main)) ?? null,
    workers: () => childrenOf(environment.runtimePid()).filter(isRunning),
    async freeze() {
      if (groups?.freeze) return groups.freeze();
      process.kill(-child.pid, 'SIGSTOP');
      await waitFor(() => environment.processes().every((pid) => 'TZ'.includes(stat(pid)?.[0] ?? 'Z')), 'all to stop');
    },
    async thaw() {
      if (groups?.thaw) return groups.thaw();
      process.kill(-child.pid, 'SIGCONT');
    },
    /** Ends it as Lambda does: without notice. */
    kill() {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        if (error.code !== 'ESRCH') throw error;
      }
    },
    /** Ends it and waits until nothing is left. */
    async end() {
      if (groups?.thaw) await groups.thaw().catch(() => {});
      environment.kill();
      await within(exited, 'the environment to end');
      await waitFor(() => environment.processes().length === 0, 'its processes to end');
      await groups?.remove();
      api.close();
    },
  };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (environment.output += text));
  const exited = new Promise((resolve) => child.once('exit', resolve)).then(() => api.environmentEnded());
  environment.exited = exited;
  t.after(() => environment.end());
  return environment;
}

/**
 * A test that needs AWS's runtime client, and maybe more; skipped, with the reason, if that is not available.
 * @param {string} name
 * @param {{ client?: 3 | 4, boxed?: boolean, deny?: unknown }} needs
 * @param {(t: import('node:test').TestContext) => Promise<void>} body
 */
function lambdaTest(name, { client = 3, boxed = false, deny }, body) {
  const reason = clientFor(client).missing ?? (boxed ? whyNoBox() : null) ?? (deny ? denyTool().missing : null);
  test(name, { skip: reason ?? false, timeout: 300_000 }, body);
}

/** The running processes of a group. */
function processesOf(group) {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => stat(pid)?.[2] === String(group) && isRunning(pid));
}

/** The command line of a process, '' where there is none. */
function commandOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

module.exports = { lambdaTest, startEnvironment };
