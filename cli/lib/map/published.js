'use strict';

/**
 * What a worker has finished of the records that it was given together, in a file, one after another as they are
 * finished: it is there whatever becomes of the worker, and while it is still busy with the next one.
 *
 * The file begins with a line that says of which records it is. Of each one there is a line with how long its text is,
 * and whether that is a result, and then the text.
 */

// The user's code may replace those of the module.
const {
  closeSync, constants, fstatSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync,
} = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');

/** @typedef {import('./failure').ErrorFields} ErrorFields */
/** The text of a result, or why there is none. @typedef {string | import('./failure').Failure} Outcome */

const RESULT = '=';
const FAILURE = '!';

/** The worker's end. */
class Publisher {
  /** @type {Map<number, number>} Files that were opened, by the names of their slots. */
  #open = new Map();
  #fd = -1;
  #at = 0;
  #header = '';

  /** @param {string} file @param {number} name of its slot @param {number} id of the records */
  begin(file, name, id) {
    let fd = this.#open.get(name);
    if (fd === undefined) {
      fd = openSync(file, 'r+');
      this.#open.set(name, fd);
    }
    this.#fd = fd;
    this.#at = 0;
    this.#header = `${id}\n`;
    ftruncateSync(fd, 0);
  }

  /** The next one is finished. Throws if that cannot be written. @param {Outcome} outcome */
  add(outcome) {
    const isResult = typeof outcome === 'string';
    const text = isResult ? outcome : JSON.stringify(outcome.error);
    const entry = `${this.#header}${isResult ? RESULT : FAILURE}${text.length}\n${text}\n`;
    const written = writeSync(this.#fd, entry, this.#at);
    if (written !== Buffer.byteLength(entry)) throw new Error('there is no room left');
    this.#header = '';
    this.#at += written;
  }
}

/** A file, and a name that no other has: that of its file may be given again. */
/** @typedef {{ fd: number, file: string, name: number }} Slot */

/** The parent's files, for as many workers as are busy at a time. */
class Slots {
  /** @type {Slot[]} */
  #free = [];
  /** @type {Slot[]} */
  #all = [];
  /** @type {string | null} Where the files are as long as they have names. */
  #folder = null;
  #count = 0;

  /** A file for what is published of one list of records. Throws if none can be made. @returns {Slot} */
  take() {
    return this.#free.pop() ?? this.#made();
  }

  /** It is not written to any more. @param {Slot} slot */
  give(slot) {
    this.#free.push(slot);
  }

  /** Of a worker that was killed, which may still be at it. @param {Slot} slot */
  drop(slot) {
    this.#all.splice(this.#all.indexOf(slot), 1);
    closeSync(slot.fd);
  }

  close() {
    for (const { fd } of this.#all.splice(0)) closeSync(fd);
    const folder = this.#folder;
    if (folder === null) return;
    // Windows keeps files that a worker has open: then there is another try once the workers were told to end.
    if (!isRemoved(folder)) process.once('exit', () => isRemoved(folder));
  }

  /** @returns {Slot} */
  #made() {
    const name = this.#count++;
    const nameless = openNameless();
    let slot;
    if (nameless !== null) {
      slot = { name, fd: nameless, file: `/proc/${process.pid}/fd/${nameless}` };
    } else {
      this.#folder ??= mkdtempSync(path.join(tmpdir(), 'parallelizer-map-'));
      const file = path.join(this.#folder, String(name));
      slot = { name, fd: openSync(file, 'w+', 0o600), file };
    }
    this.#all.push(slot);
    return slot;
  }
}

/** `O_TMPFILE` of Linux, with the directory's flag, which is not the same on each processor. */
const NAMELESS = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR;

/** A file that goes with this process, whatever becomes of that, in memory if it can be; null where there is none. */
function openNameless() {
  if (process.platform !== 'linux') return null;
  for (const folder of ['/dev/shm', tmpdir()]) {
    try {
      return openSync(folder, NAMELESS, 0o600);
    } catch {
      // There is no such directory, or its file system has no such files.
    }
  }
  return null;
}

/** @param {string} folder */
function isRemoved(folder) {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

/**
 * What was published, as far as it is whole.
 * @param {Slot} slot @param {number} id of the records
 * @returns {Outcome[]}
 */
function readPublished({ fd }, id) {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  const text = bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
  /** @type {Outcome[]} */
  const outcomes = [];
  let at = text.indexOf('\n') + 1;
  if (at === 0 || text.slice(0, at - 1) !== String(id)) return outcomes;
  for (;;) {
    const line = text.indexOf('\n', at);
    if (line < 0) return outcomes;
    const end = line + 1 + Number(text.slice(at + 1, line));
    if (text[end] !== '\n') return outcomes;
    const entry = text.slice(line + 1, end);
    outcomes.push(text[at] === RESULT ? entry : { error: JSON.parse(entry) });
    at = end + 1;
  }
}

module.exports = { Publisher, Slots, readPublished };
