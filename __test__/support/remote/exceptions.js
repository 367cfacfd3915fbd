'use strict';
// What of the shared cases is not so where calls run on other machines, by file and title, with the reason that is
// printed. A title counts with all that begin so; `'*'`: the whole file.

const READY = 'ready() means that a host is there; modules are loaded by its processes, with the first calls';
const LANES = 'workers are chunks in flight, about two for each process of the hosts, and have no index or process';
const HOSTS = "processes are the host's, which says how many there are, how they are started and when they end";
const WHICH = "which process of a host runs a call is the host's to say, and it uses all of them for a chunk";
const OUTPUT = "what workers print goes to the host's console";
const SHARED_MEMORY = 'nothing is transferred or shared between machines';
const HANDLERS = 'handlers of events make an instance of their own, which has no engine';
const NESTED = 'an instance inside of a worker has no engine here';
const SAME_PROCESS = 'the host of these cases is in the same process, where its own calls are published as well';
const SAME_THREAD = 'the host of these cases is on the same thread, and blocked with it';
const BLOCKED = 'answers of other machines are read by the event loop, which this case blocks';
const CONTEXT = "what workers print is printed by their host, which has nothing of the caller's AsyncLocalStorage";
const SIDE_BY_SIDE = 'a host has two chunks for each process, and runs some calls of one, then some of the other';
const AHEAD = 'how far calls are sent ahead of what runs is up to the chunks in flight, two for each process';
const WAITING = 'calls that are in flight to a host do not wait, and those are two for each of its processes at least';
const ENGINE_PARTS = 'an engine is a package of its own, which clocks and prototypes that were replaced may break';
/** Reasons that hosts in processes of their own take away. */
const OF_MEMORY = [SAME_PROCESS, SAME_THREAD];

/** @type {Record<string, Record<string, string>>} */
const EXCEPTIONS = {
  advice: {
    'with fewer workers than CPUs it names the option': HOSTS,
  },
  'async-context': {
    'in what mainLogger prints': CONTEXT,
    'in forwarded logs': CONTEXT,
  },
  'async-resources': { '*': HOSTS },
  binary: { 'remote, ': SHARED_MEMORY },
  broadcast: { 'workers that were stopped for being idle are started': HOSTS },
  'busy-caller': { 'workers have work for as long as': SAME_THREAD },
  close: { 'what has been answered is done, although terminate': BLOCKED },
  compatibility: {
    'parallelizationPerCPU may be': HOSTS,
    'removeChildThreads': LANES,
    "the object form's id is 'single-process'": LANES,
  },
  console: {
    "text logs: a console of one's own writes": OUTPUT,
    "JSON logs: a console of one's own writes": OUTPUT,
  },
  'diagnostics-channel': {
    'each sub-batch is a call': LANES,
    'items are a call for each chunk': SAME_PROCESS,
    'the channel of workers has what listeners have': LANES,
    'a subscriber that throws': 'the program of this case has no engine',
  },
  events: { '*': LANES },
  'exec-path': { 'no effect, since nothing is started': HOSTS },
  'extended-prototypes': { 'setters on Object.prototype, in the parent': ENGINE_PARTS },
  flood: { '*': SHARED_MEMORY },
  'forgotten-pools': {
    'instances of Parallelizer, of a class': HANDLERS,
    'no warning for a dozen': HOSTS,
    'environments are counted by themselves': HOSTS,
  },
  'group-by': { 'one key: in order, never two at once; a key stays with its worker': WHICH },
  nesting: { '*': NESTED },
  opentelemetry: {
    'metrics count calls': LANES,
  },
  'own-clock': { '*': ENGINE_PARTS },
  'patched-prototypes': {
    'setters, in the parent': ENGINE_PARTS,
    'an iterator of arrays that gives nothing, in the parent': ENGINE_PARTS,
  },
  'pool-balance': {
    'of each call by itself': WHICH,
    'a chunk stays at one worker': WHICH,
    'as large as the list': WHICH,
    'on one worker all items run in their order': WHICH,
    'the items of a chunk run in their order': WHICH,
  },
  'pool-concurrency': {
    'map {"chunkSize":1}': AHEAD,
    'a few items are spread, not piled on one worker': WHICH,
  },
  'pool-lambda-multiprocessing': {
    'a chunk is run by one worker': WHICH,
    'is awaited': READY,
    'works without /dev/shm': HOSTS,
  },
  'pool-python-parity': {
    'apply: one worker takes them in order': SIDE_BY_SIDE,
    'tasks: a pool inside a worker': NESTED,
  },
  'pool-tasks': { 'is sent once to each worker': 'a task is sent with each chunk, as any host may get it' },
  'pool-values': {
    'a view of what is moved comes along': SHARED_MEMORY,
    'shared memory is shared': SHARED_MEMORY,
    'what is in transferList arrives whole': SHARED_MEMORY,
  },
  'pool-workers': {
    'stops workers that have nothing to do': HOSTS,
    'does not stop a busy worker': HOSTS,
    'initializes the new ones': HOSTS,
    'close and join when no worker is left': HOSTS,
    'that fails in a pool that nobody uses': READY,
  },
  priority: {
    'a higher priority goes first': WAITING,
    'map, starmap and imap have one as well': WAITING,
    'calls that were sent ahead in an earlier turn': WAITING,
  },
  'queue-limit': { '*': WAITING },
  ready: { "rejects with the module's error": READY },
  realms: { '*': NESTED },
  recycling: {
    'idleTimeout': HOSTS,
    'maxBatchesPerWorker: the next worker is there': HOSTS,
  },
  regressions: {
    '14. parallelization ': HOSTS,
    '2. a worker that answers and exits is counted once': WHICH,
  },
  'run-ids': {
    'an error about a run has': READY,
    "so have a full queue's": WAITING,
    'what is about no run has none': READY,
  },
  scarcity: { 'no ': HOSTS },
  'serialization-errors': {
    'by a worker: fails that call only': WHICH,
    'what cannot be transferred fails': SHARED_MEMORY,
  },
  spin: { 'an idle pool costs no CPU time': LANES },
  stats: {
    'states: starting, ready, busy': LANES,
    'waitTime includes the time': WAITING,
    'workers: id, pid, state': LANES,
  },
  stdio: { 'inherit: 20,000 lines': OUTPUT },
  'structured-clone': { '*': SHARED_MEMORY },
  timeline: {
    'a death is on the lane of its worker': LANES,
    'calls that run at the same time in one worker': LANES,
    'has a lane for each worker': LANES,
    'says what each worker did': LANES,
  },
  transfer: { '*': SHARED_MEMORY },
  'worker-thread-owner': { '*': NESTED },
};

/**
 * Why a case does not hold. `null`: it does.
 * @param {string} file its name without extensions @param {string} title
 * @param {boolean} isInMemory whether the host is in the same process
 */
function exceptionFor(file, title, isInMemory) {
  const found = Object.entries(EXCEPTIONS[file] ?? {}).find(([start, reason]) =>
    (start === '*' || title.startsWith(start)) && (isInMemory || !OF_MEMORY.includes(reason)));
  return found === undefined ? null : `calls on other machines: ${found[1]}`;
}

module.exports = { exceptionFor };
