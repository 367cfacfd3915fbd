'use strict';

/**
 * Records that are a line each: NDJSON, where blank lines count for nothing, and plain text, where each is a record.
 */

const { InputError } = require('./input-error');

/** A longer line is a mistake: of a file that is not what it was taken for. */
const MAX_LINE = 256 * 1024 * 1024;

const NEWLINE = 10;
const RETURN = 13;

/** @typedef {import('./records').Entry} Entry */

class Lines {
  #source;
  #skipsBlank;
  #hint;
  /** @type {Buffer} */
  #piece = Buffer.alloc(0);
  /** Where the next line begins in the piece. */
  #at = 0;
  /** The beginning of a line that goes on in the next piece. @type {Buffer[]} */
  #begun = [];
  #begunBytes = 0;
  #hasEnded = false;
  #offset;
  #line;

  /**
   * @param {InstanceType<typeof import('./byte-source').ByteSource>} source
   * @param {import('./records').Place} place where it begins
   * @param {{ skipsBlank: boolean, hint: string }} options `hint`: what to do about a line that is too long
   */
  constructor(source, { offset, line }, { skipsBlank, hint }) {
    this.#source = source;
    this.#offset = offset;
    this.#line = line;
    this.#skipsBlank = skipsBlank;
    this.#hint = hint;
  }

  /** The next record that is there already. @returns {Entry | undefined} */
  take() {
    for (;;) {
      const end = this.#piece.indexOf(NEWLINE, this.#at);
      if (end < 0) return undefined;
      const entry = this.#lineTo(end, end + 1);
      if (entry !== undefined) return entry;
    }
  }

  /** Reads more. @returns {Promise<boolean>} whether there is more to take */
  async more() {
    if (this.#hasEnded) return false;
    const rest = this.#piece.subarray(this.#at);
    if (rest.length > 0) this.#begun.push(rest);
    this.#begunBytes += rest.length;
    if (this.#begunBytes > MAX_LINE) {
      throw new InputError(`line ${this.#line + 1} has more than ${MAX_LINE / 2 ** 20} MiB: ${this.#hint}`);
    }
    const piece = await this.#source.read();
    this.#at = 0;
    if (piece !== null) {
      this.#piece = piece;
      return true;
    }
    this.#hasEnded = true;
    this.#piece = Buffer.alloc(0);
    if (this.#begunBytes === 0) return false;
    // The last line may do without a newline.
    this.#piece = Buffer.from([NEWLINE]);
    this.#offset--;
    return true;
  }

  /**
   * @param {number} end of the line's text @param {number} next where the next line begins
   * @returns {Entry | undefined} nothing for a line that does not count
   */
  #lineTo(end, next) {
    let bytes = this.#piece;
    let from = this.#at;
    this.#at = next;
    this.#offset += this.#begunBytes + next - from;
    if (this.#begun.length > 0) {
      bytes = Buffer.concat([...this.#begun, bytes.subarray(from, end)]);
      from = 0;
      end = bytes.length;
      this.#begun = [];
      this.#begunBytes = 0;
    }
    if (end > from && bytes[end - 1] === RETURN) end--;
    const line = ++this.#line;
    // A byte order mark, which some editors put at the beginning of a file.
    if (line === 1 && bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf) from += 3;
    if (this.#skipsBlank && isBlank(bytes, from, end)) return undefined;
    const text = bytes.toString('utf8', from, end);
    return { item: text, line, end: this.#offset, endLine: line };
  }
}

/** @param {Buffer} bytes @param {number} from @param {number} end */
function isBlank(bytes, from, end) {
  let at = from;
  while (at < end && (bytes[at] === 32 || bytes[at] === 9)) at++;
  return at === end;
}

module.exports = { Lines };
