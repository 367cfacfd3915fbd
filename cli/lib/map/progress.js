'use strict';

/**
 * How far a run is, on stderr: a bar where that is a terminal, a line every now and then where it is not, and one line
 * at the end in either case.
 */

const { SingleBar } = require('cli-progress');

/**
 * Of finished records, and of the input up to there.
 * @typedef {{ records: number, failures: number, bytes: number }} Counts
 */
/** @typedef {{ busy: number, all: number }} Workers */

/** How often the bar is drawn, and how often a line is written, in milliseconds. */
const BAR_INTERVAL = 125;
const LINE_INTERVAL = 10_000;
/** Over how long rates are averaged, in milliseconds. */
const WINDOW = 15_000;
const SAMPLES = 30;

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 2 });

/** @param {number} perSecond */
const rateText = (perSecond) => `${(perSecond < 10 ? exact : whole).format(perSecond)}/s`;

/** @param {number} count @param {string} word */
const counted = (count, word) => `${whole.format(count)} ${word}${count === 1 ? '' : 's'}`;

/** @param {number} seconds */
function durationText(seconds) {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 10) return `${exact.format(seconds)} s`;
  const left = Math.round(seconds);
  if (left < 60) return `${left} s`;
  const minutes = Math.floor(left / 60);
  if (minutes < 60) return `${minutes} min ${left % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

class Progress {
  #stream;
  /** The method that the stream came with. */
  #write;
  #isQuiet;
  #hasTerminal;
  #total;
  #read;
  #workers;
  #begun = performance.now();
  /** The counts when this run began: another may have done part of the work. @type {Counts} */
  #first;
  /** @type {{ at: number, counts: Counts }[]} */
  #samples = [];
  /** @type {import('cli-progress').SingleBar | null} */
  #bar = null;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /**
   * @param {object} options
   * @param {NodeJS.WriteStream} options.stream
   * @param {boolean} options.isQuiet
   * @param {number | null} options.total the size of the input; `null` if it is not known
   * @param {() => Counts} options.read
   * @param {() => Workers} options.workers
   */
  constructor({ stream, isQuiet, total, read, workers }) {
    this.#stream = stream;
    this.#write = stream.write;
    this.#isQuiet = isQuiet;
    this.#hasTerminal = stream.isTTY === true && process.env.TERM !== 'dumb';
    this.#total = total;
    this.#read = read;
    this.#workers = workers;
    this.#first = { ...read() };
  }

  start() {
    this.#begun = performance.now();
    if (this.#isQuiet) return;
    if (this.#hasTerminal) this.#startBar();
    else this.#timer = setInterval(() => this.#writeLine(), LINE_INTERVAL);
  }

  /** @param {string | null} last what is said in the end */
  stop(last) {
    clearInterval(this.#timer);
    if (this.#bar !== null) {
      this.#draw();
      this.#bar.stop();
      this.#bar = null;
      this.#stream.write = this.#write;
    }
    if (last !== null && !this.#isQuiet) this.#stream.write(`${last}\n`);
  }

  /** What was done, for the end. */
  summary() {
    const { records, failures } = this.#read();
    const seconds = (performance.now() - this.#begun) / 1000;
    const done = records - this.#first.records;
    const before = this.#first.records > 0 ? `, after ${whole.format(this.#first.records)} before` : '';
    const failed = failures > 0 ? `, ${whole.format(failures)} failed` : '';
    return `${counted(done, 'record')} in ${durationText(seconds)} (${rateText(done / seconds)})${before}${failed}`;
  }

  // ---- How it looks -----------------------------------------------------------------------------------------------

  #figures() {
    const at = performance.now();
    const counts = { ...this.#read() };
    const last = this.#samples[this.#samples.length - 1];
    if (last === undefined || at - last.at >= WINDOW / SAMPLES) this.#samples.push({ at, counts });
    while (this.#samples.length > 1 && at - this.#samples[0].at > WINDOW) this.#samples.shift();
    const [from] = this.#samples;
    // Before there is anything to compare with: since the beginning.
    const [since, base] = at > from.at ? [from.at, from.counts] : [this.#begun, this.#first];
    const seconds = Math.max(at - since, 1) / 1000;
    const rate = (counts.records - base.records) / seconds;
    const left = this.#total === null ? NaN : (this.#total - counts.bytes) / ((counts.bytes - base.bytes) / seconds);
    const { busy, all } = this.#workers();
    return { counts, rate: rateText(rate), left: durationText(left), busy, all };
  }

  #writeLine() {
    const { counts, rate, left, busy, all } = this.#figures();
    const share = this.#total === null ? '' : `${Math.floor((100 * counts.bytes) / Math.max(this.#total, 1))} %, `;
    const eta = this.#total === null ? '' : `, ETA ${left}`;
    const text = `${share}${counted(counts.records, 'record')}, ${rate}${eta}, ${whole.format(counts.failures)} failed`;
    this.#stream.write(`${text}, ${busy}/${all} workers busy\n`);
  }

  #startBar() {
    const total = this.#total;
    const bar = total === null ? '' : '{bar} {percentage}%  ';
    const eta = total === null ? '' : '  ETA {left}';
    const format = `${bar}{done}  {rate}${eta}  {failed} failed  {busy}/{all} workers`;
    this.#bar = new SingleBar({
      stream: this.#terminal(),
      format,
      gracefulExit: false,
      barsize: 20,
      barCompleteChar: '\u2588',
      barIncompleteChar: '\u2591',
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      forceRedraw: true,
      fps: 1000 / BAR_INTERVAL,
    });
    this.#bar.start(total ?? 1, 0, this.#payload());
    this.#timer = setInterval(() => this.#draw(), BAR_INTERVAL);
  }

  /**
   * The stream for the bar. What others write comes to stand above it: in its place, from where it goes down with its
   * next drawing.
   * @returns {any} as much of a stream as the bar uses
   */
  #terminal() {
    const stream = this.#stream;
    const write = (/** @type {any[]} */ ...args) => Reflect.apply(this.#write, stream, args);
    stream.write = (/** @type {any[]} */ ...args) => {
      write('\r\x1b[K');
      return write(...args);
    };
    return {
      isTTY: true,
      get columns() {
        return stream.columns;
      },
      write(/** @type {string} */ text, /** @type {any[]} */ ...rest) {
        // It would go back to where it stood at first, which by then is in the middle of what others have written.
        return text === '\x1b7' || text === '\x1b8' ? true : write(text, ...rest);
      },
    };
  }

  #payload() {
    const { counts, rate, left, busy, all } = this.#figures();
    return {
      bytes: counts.bytes,
      done: counted(counts.records, 'record'),
      failed: whole.format(counts.failures),
      ...{ rate, left, busy, all },
    };
  }

  #draw() {
    const { bytes, ...payload } = this.#payload();
    this.#bar?.update(this.#total === null ? 0 : Math.min(bytes, this.#total), payload);
  }
}

module.exports = { Progress, counted };
