'use strict';

/**
 * Records that are a line each: NDJSON, where blank lines count for nothing, and plain text, where each is a record.
 */

const { Block } = require('./block');
const { InputError } = require('./input-error');

/** A longer line is a mistake: of a file that is not what it was taken for. */
const MAX_LINE = 256 * 1024 * 1024;

const NEWLINE = 10;
const RETURN = 13;

/** @typedef {import('./records').Limit} Limit */

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
  /** How many bytes and lines of the input are before the next line. */
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

  /** The next records that are there already. @param {Limit} limit @returns {InstanceType<typeof Block> | null} */
  take(limit) {
    while (this.#begun.length > 0) {
      const end = this.#piece.indexOf(NEWLINE);
      if (end < 0) return null;
      const whole = Buffer.concat([...this.#begun, this.#piece.subarray(0, end + 1)]);
      this.#begun = [];
      this.#begunBytes = 0;
      this.#at = end + 1;
      const block = this.#lines(whole, 0, { records: 1, bytes: 0 }).block;
      if (block !== null) return block;
    }
    const { block, at } = this.#lines(this.#piece, this.#at, limit);
    this.#at = at;
    return block;
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
    // The last line may do without a newline.
    this.#piece = this.#begunBytes > 0 ? Buffer.from([NEWLINE]) : Buffer.alloc(0);
    return this.#begunBytes > 0;
  }

  /**
   * Takes lines as far as they are whole.
   * @param {Buffer} bytes @param {number} from @param {Limit} limit
   * @returns {{ block: InstanceType<typeof Block> | null, at: number }} and where the next line begins
   */
  #lines(bytes, from, { records, bytes: maxBytes }) {
    /** @type {InstanceType<typeof Block> | null} */
    let block = null;
    const place = { offset: this.#offset, line: this.#line };
    let at = from;
    let line = this.#line;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, at);
      if (newline < 0) break;
      let start = at;
      const end = newline > at && bytes[newline - 1] === RETURN ? newline - 1 : newline;
      at = newline + 1;
      line++;
      // A byte order mark, which some editors put at the beginning of a file.
      if (line === 1 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) start += 3;
      if (this.#skipsBlank && isBlank(bytes, start, end)) continue;
      block ??= new Block(bytes, from, place, records);
      block.add(start, end, at, line, line);
      if (block.count === records || at - from >= maxBytes) break;
    }
    this.#offset += at - from;
    this.#line = line;
    return { block, at };
  }
}

/** @param {Buffer} bytes @param {number} from @param {number} end */
function isBlank(bytes, from, end) {
  let at = from;
  while (at < end && (bytes[at] === 32 || bytes[at] === 9)) at++;
  return at === end;
}

module.exports = { Lines };
