'use strict';

/**
 * The class of the addon's pools over the WebAssembly module: `src/wasm/exports.rs` has the functions that are called
 * here, and `src/wasm/host.rs` and `carrier.rs` those that are given.
 *
 * Numbers cross as arguments, texts and lists of numbers through the module's memory. An instance of the module is one
 * pool. Must not depend on what is scheduled, nor on how workers are reached.
 */

const { clearTimeout, nextTick, now, setImmediate, setTimeout } = require('../intrinsics/clock');
const { toJson } = require('../intrinsics/json');
const {
  ANSWERED_FIELDS, ARGUMENT_WORD, FORM_NOTHING, FORM_SINGLE, FORM_WORD, RUN_FIELDS,
} = require('../transport/constants');
const { atExit } = require('./exit-listener');
const { Memory } = require('./wasm-memory');

// (Its types come with those of browsers only.)
const { WebAssembly } = /** @type {any} */ (globalThis);

/** The longest time that a timer of Node can have, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

const MODULE_PANIC = '@parallelizer/node: internal error (a panic in the WebAssembly module)';

/**
 * Has what a function throws reported as an uncaught exception: it must not pass through the module, which would be
 * left in the middle of what it does.
 * @template {any[]} A
 * @template R
 * @param {(...args: A) => R} act @param {R} otherwise what is returned then
 */
function guarded(act, otherwise) {
  return (/** @type {A} */ ...args) => {
    try {
      return Reflect.apply(act, undefined, args);
    } catch (error) {
      nextTick(() => {
        throw error;
      });
      return otherwise;
    }
  };
}

/**
 * The event loop as a pool needs it: one timer, and whether the loop lives on. Both change with every call, and Node's
 * timers are made as seldom as possible: one that fires too early looks for how long it has to go on.
 * @param {() => void} onTimer
 */
function createLoop(onTimer) {
  /** When `onTimer` is to be called, and when a timer fires. */
  let due = Infinity;
  let armed = Infinity;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {NodeJS.Timeout | undefined} What holds the loop. */
  let hold;
  const arm = (/** @type {number} */ time) => {
    clearTimeout(timer);
    armed = due;
    timer = setTimeout(fire, Math.min(Math.max(1, Math.ceil(due - time)), MAX_TIMER));
    timer.unref();
  };
  const fire = () => {
    armed = Infinity;
    if (due === Infinity) return;
    const time = now();
    if (time < due) {
      arm(time);
      return;
    }
    due = Infinity;
    // What came while this thread was busy is seen first: where pipes have no descriptors, only the loop reads them.
    if (process.platform === 'win32') setImmediate(onTimer);
    else onTimer();
  };
  return {
    now,
    start_timer(/** @type {number} */ millis) {
      const time = now();
      due = time + millis;
      if (due < armed) arm(time);
    },
    stop_timer() {
      due = Infinity;
    },
    set_held(/** @type {number} */ held) {
      hold ??= setTimeout(() => {}, MAX_TIMER);
      if (held) hold.ref();
      else hold.unref();
    },
  };
}

/**
 * What the module calls of JavaScript's hooks.
 * @param {any} hooks @param {() => InstanceType<typeof Memory>} memory
 */
function hostFunctions(hooks, memory) {
  const text = (/** @type {number} */ at, /** @type {number} */ length) => memory().text(at, length);
  return {
    /** @type {(...numbers: number[]) => void} */
    start_worker: guarded((id, index) => void hooks.startWorker(id, index), undefined),
    /** @type {(...numbers: number[]) => void} */
    ended: guarded((job, first, end, at, length, detail, detailLength) => {
      hooks.ended(job, first, end, text(at, length), text(detail, detailLength));
    }, undefined),
    /** @type {(...numbers: number[]) => void} */
    ready: guarded((at, length, detail, detailLength) => {
      hooks.ready(text(at, length), text(detail, detailLength));
    }, undefined),
    /** @type {(...numbers: number[]) => void} */
    event: guarded((at, length) => hooks.event(text(at, length)), undefined),
    /** @type {(...numbers: number[]) => void} */
    closed: guarded((at, length) => hooks.closed(text(at, length)), undefined),
  };
}

/**
 * What the module calls of the carrier.
 * @param {any} hooks @param {Uint32Array} registers @param {() => InstanceType<typeof Memory>} memory
 */
function carrierFunctions(hooks, registers, memory) {
  const told = (/** @type {string} */ name) => guarded((/** @type {number} */ id) => void hooks[name]?.(id), undefined);
  return {
    /** @type {(...numbers: number[]) => number} */
    send_calls: guarded((worker, frame, seq, waiting, at, length) => {
      const shared = memory();
      const job = shared.double(at, 0);
      registers[ARGUMENT_WORD] = worker;
      registers[ARGUMENT_WORD + 1] = frame;
      registers[ARGUMENT_WORD + 2] = seq;
      registers[ARGUMENT_WORD + 3] = waiting;
      registers[ARGUMENT_WORD + 4] = job >>> 0;
      registers[ARGUMENT_WORD + 5] = Math.floor(job / 2 ** 32);
      registers[ARGUMENT_WORD + 6] = shared.double(at, 1);
      registers[ARGUMENT_WORD + 7] = shared.double(at, 2);
      const list = length > RUN_FIELDS ? hooks.sendCalls(shared.doubles(at, length)) : hooks.sendCalls();
      const form = registers[FORM_WORD];
      if (form === FORM_NOTHING) return 0;
      const bytes = registers[ARGUMENT_WORD + 1];
      if (form === FORM_SINGLE) return shared.passThree(bytes, 1, registers[ARGUMENT_WORD]);
      return shared.passWords([bytes].concat(list));
    }, -1),
    /** @type {(...numbers: number[]) => void} */
    cancel_calls: guarded((worker, at, length) => hooks.cancelCalls(worker, memory().words(at, length)), undefined),
    /** @type {(...numbers: number[]) => number} */
    recall_calls: guarded((worker, from, until) => hooks.recallCalls(worker, from, until) ?? -1, -1),
    /** @type {(...numbers: number[]) => void} */
    assign_index: guarded((worker, index) => hooks.assignIndex(worker, index), undefined),
    /** @type {(...numbers: number[]) => void} */
    demand_more: guarded((worker, seq, taken) => hooks.demandMore(worker, seq, taken >>> 0), undefined),
    stop_worker: told('stopWorker'),
    kill_worker: told('killWorker'),
    kill_silent_worker: told('killSilentWorker'),
    abandon_worker: told('abandonWorker'),
    say_farewell: told('sayFarewell'),
    catch_up: told('catchUp'),
    last_begun: guarded((/** @type {number} */ id) => hooks.lastBegun(id), 0),
    pid_of: guarded((/** @type {number} */ id) => hooks.pidOf(id) ?? 0, 0),
  };
}

/**
 * Makes the class of pools.
 * @param {any} module the compiled module
 */
function createWasmPool(module) {
  return class WasmPool {
    #exports;
    #memory;
    #registers;

    /**
     * @param {string} config JSON @param {any} hooks @param {any} _initParts the carrier has them
     * @param {Uint32Array} registers
     */
    constructor(config, hooks, _initParts, registers) {
      let panic = '';
      const memory = () => this.#memory;
      /** @type {any} */
      const exports = new WebAssembly.Instance(module, {
        host: {
          ...createLoop(() => exports.on_timer()),
          ...hostFunctions(hooks, memory),
          panicked: (/** @type {number} */ at, /** @type {number} */ length) => {
            panic = String(memory().text(at, length));
          },
        },
        carrier: carrierFunctions(hooks, registers, memory),
      }).exports;
      this.#exports = withPanics(exports, () => panic);
      this.#memory = new Memory(exports);
      this.#registers = registers;
      const refused = exports.create(this.#memory.passText(config));
      if (refused > 0) throw new Error(this.#memory.result(refused));
      atExit(this, (pool) => pool.dismiss());
      exports.start();
    }

    /** See `NativePool::submitter` in `src/binding/native_pool.rs`, and the same for the others. */
    submitter() {
      const exports = this.#exports;
      const registers = this.#registers;
      const at = ARGUMENT_WORD;
      return (/** @type {Uint32Array | null | undefined} */ keys, timeout = 0) => {
        const count = keys ? this.#memory.passWords(keys) : -1;
        return exports.submit(
          registers[at], registers[at + 1], registers[at + 2], registers[at + 3], registers[at + 4], registers[at + 5],
          count, timeout,
        );
      };
    }

    flusher() {
      return this.#exports.flush;
    }

    replier() {
      const exports = this.#exports;
      const shared = this.#memory;
      const registers = this.#registers;
      const at = ARGUMENT_WORD;
      return () => {
        const count = exports.worker_replied_once(
          registers[at], registers[at + 1], registers[at + 2], registers[at + 3], registers[at + 4],
          registers[at + 5], registers[at + 6],
        );
        if (count !== ANSWERED_FIELDS) return this.#settled(count);
        const outbox = exports.outbox();
        const job = shared.double(outbox, 1);
        registers[at] = job >>> 0;
        registers[at + 1] = Math.floor(job / 2 ** 32);
        registers[at + 2] = shared.double(outbox, 2);
        registers[at + 3] = shared.double(outbox, 3);
        registers[at + 4] = shared.double(outbox, 4);
        return null;
      };
    }

    /** @param {number} count */
    #settled(count) {
      if (count < 0) throw new Error(this.#memory.result(-count));
      return this.#memory.results(count);
    }

    /** @param {number} job */
    cancel(job) {
      this.#exports.cancel(job);
    }

    /** @param {number} job @param {number} from */
    dropCalls(job, from) {
      this.#exports.drop_calls(job, from);
    }

    /** @param {number} job @param {boolean} onlyBegun @returns {number} */
    remainingCalls(job, onlyBegun) {
      return this.#exports.remaining_calls(job, onlyBegun);
    }

    /** @param {number} job */
    killRemaining(job) {
      this.#exports.kill_remaining(job);
    }

    /** @param {number} cpus */
    setSpinCpus(cpus) {
      this.#exports.set_spin_cpus(cpus);
    }

    /** @param {number} task @returns {number} */
    callsAhead(task) {
      return this.#exports.calls_ahead(task);
    }

    /** @param {number} worker @param {number} frame */
    isDeferred(worker, frame) {
      return this.#exports.is_deferred(worker, frame) !== 0;
    }

    /** @param {number} worker @param {number} frame */
    sendDeferred(worker, frame) {
      this.#exports.send_deferred(worker, frame);
    }

    awaitReady() {
      this.#exports.await_ready();
    }

    close() {
      this.#exports.close();
    }

    terminate() {
      this.#exports.terminate();
    }

    removeWorkers() {
      this.#exports.remove_workers();
    }

    /** From now on the hook `event` is told of the queue. */
    watchQueue() {
      this.#exports.watch_queue();
    }

    /** This process ends in an orderly way: workers that have nothing to do may, too. */
    dismiss() {
      this.#exports.dismiss();
    }

    /** @returns {string} */
    stats() {
      return this.#memory.result(this.#exports.stats());
    }

    /** @param {boolean} suspended */
    suspendHold(suspended) {
      this.#exports.suspend_hold(suspended);
    }

    // ---- What carriers report ------------------------------------------------------------------------------

    /** @param {number} job @param {number} call @param {number} taken */
    demand(job, call, taken) {
      this.#exports.demand(job, call, taken);
    }

    /** @param {number} job @param {number} call */
    pause(job, call) {
      this.#exports.pause(job, call);
    }

    /** @param {number} job */
    leave(job) {
      return this.#exports.leave(job) !== 0;
    }

    /** @param {number} job */
    forbidRetries(job) {
      this.#exports.forbid_retries(job);
    }

    /** @param {number} worker @param {number} seq */
    wantedCall(worker, seq) {
      const count = this.#exports.wanted_call(worker, seq);
      return count === 0 ? null : this.#memory.results(count);
    }

    /** @param {number} worker */
    workerAlive(worker) {
      this.#exports.worker_alive(worker);
    }

    /** @param {number} worker */
    workerReady(worker) {
      this.#exports.worker_ready(worker);
    }

    /** It has begun this call; 0: none yet, and so it runs. @param {number} worker @param {number} seq */
    workerBegun(worker, seq) {
      this.#exports.worker_begun(worker, seq);
    }

    /** @param {number} worker @param {string} report JSON */
    workerLoadFailed(worker, report) {
      this.#exports.worker_load_failed(worker, this.#memory.passText(report));
    }

    /**
     * @param {number} worker @param {number} frame @param {number} offset @param {number} micros @param {number} bytes
     * @param {number[]} parts
     */
    workerReplied(worker, frame, offset, micros, bytes, parts) {
      const count = this.#memory.passWords(parts);
      return this.#settled(this.#exports.worker_replied(worker, frame, offset, micros, bytes, count));
    }

    /** @param {number} worker @param {number} bytes */
    workerMemory(worker, bytes) {
      this.#exports.worker_memory(worker, bytes);
    }

    /** @param {number} worker @param {number} seq @returns {number} */
    jobOf(worker, seq) {
      return this.#exports.job_of(worker, seq);
    }

    /** @param {number} worker */
    giveUpWorker(worker) {
      this.#exports.give_up_worker(worker);
    }

    /** What is known of a worker's end so far. @param {number} worker @param {string} report JSON */
    setExitReport(worker, report) {
      this.#exports.set_exit_report(worker, this.#memory.passText(report));
    }

    /** Something happened to it, for `debug`. @param {number} worker @param {string} event @param {object} detail */
    workerEvent(worker, event, detail) {
      this.#exports.worker_event(worker, this.#memory.passText(toJson({ ...detail, event })));
    }

    /** @param {number} worker @param {string} report JSON */
    workerExited(worker, report) {
      this.#exports.worker_exited(worker, this.#memory.passText(report));
    }
  };
}

/**
 * The module's functions, whose traps say what went wrong.
 * @param {Record<string, any>} exports @param {() => string} panic what the module said before it gave up
 * @returns {any}
 */
function withPanics(exports, panic) {
  /** @type {Record<string, any>} */
  const explained = Object.create(null);
  Object.keys(exports).forEach((name) => {
    const act = exports[name];
    if (typeof act !== 'function') return;
    explained[name] = (/** @type {any[]} */ ...args) => {
      try {
        return Reflect.apply(act, undefined, args);
      } catch (cause) {
        throw new Error(`${MODULE_PANIC}: ${panic() || String(cause)}`, { cause });
      }
    };
  });
  return explained;
}

module.exports = { createWasmPool };
