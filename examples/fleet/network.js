'use strict';

/**
 * Where hosts run: each in a network namespace of its own, connected to this machine by a cable that can be pulled; or,
 * without the right to make those, side by side on 127.0.0.1.
 *
 * It needs Linux, root, and the command `ip` (Debian's iproute2).
 */

const { execFileSync } = require('node:child_process');

/** The kernel's limit for the names of interfaces is 15 characters. */
const PREFIX = `pz${process.pid}n`;
/** 198.18.0.0/15 is reserved for tests of networks. Each cable has four addresses of it. */
const FIRST_ADDRESS = ((198 << 24) | (18 << 16)) >>> 0;
const CABLES = 2 ** 15;

/**
 * @typedef {object} Place where a host runs
 * @property {string} redis the address that Redis has from there
 * @property {string[]} command what a command begins with that is to run there
 * @property {(() => void) | null} powerOff pulls the cable, and kills everything that runs there
 */

/** @param {...string} args */
const ip = (...args) => execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** @param {number} number */
const dotted = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');

/** One end of a cable is here, the other one is in the namespace. @param {number} number @returns {Place} */
function makePlace(number) {
  const name = `${PREFIX}${number}`;
  const base = FIRST_ADDRESS + 4 * ((process.pid * 8 + number) % CABLES);
  const [here, there] = [dotted(base + 1), dotted(base + 2)];
  ip('netns', 'add', name);
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('address', 'add', `${here}/30`, 'dev', name);
  ip('link', 'set', name, 'up');
  ip('-netns', name, 'address', 'add', `${there}/30`, 'dev', 'eth0');
  ip('-netns', name, 'link', 'set', 'eth0', 'up');
  ip('-netns', name, 'link', 'set', 'lo', 'up');
  return {
    redis: here,
    command: ['ip', 'netns', 'exec', name],
    powerOff() {
      // First the cable: of a machine without power nothing is heard, not even that its connections have ended.
      ip('link', 'set', name, 'down');
      ip('netns', 'pids', name).split('\n').filter(Boolean).forEach((pid) => kill(Number(pid)));
    },
  };
}

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It has ended by itself.
    if (error.code !== 'ESRCH') throw error;
  }
}

/** @param {number} count */
function removePlaces(count) {
  for (let number = 1; number <= count; number += 1) {
    const name = `${PREFIX}${number}`;
    for (const args of [['link', 'delete', name], ['netns', 'delete', name]]) {
      try {
        ip(...args);
      } catch {
        // It was not made.
      }
    }
  }
}

/**
 * Places for so many hosts. `reason` says why they have no network of their own, where they have not.
 *
 * @param {number} count
 * @returns {{ places: Place[], reason: string | null, remove: () => void }}
 */
function makeNetwork(count) {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  try {
    if (process.platform !== 'linux') throw new Error('this is not Linux');
    if (process.getuid?.() !== 0) throw new Error('only root may make them');
    return { places: numbers.map(makePlace), reason: null, remove: () => removePlaces(count) };
  } catch (error) {
    removePlaces(count);
    const { code, stderr, message } = /** @type {NodeJS.ErrnoException & { stderr?: string }} */ (error);
    const reason = code === 'ENOENT' ? 'there is no command "ip" (Debian: iproute2)' : stderr?.trim() || message;
    const places = numbers.map(() => ({ redis: '127.0.0.1', command: [], powerOff: null }));
    return { places, reason: `no network namespaces: ${reason}`, remove() {} };
  }
}

module.exports = { makeNetwork };
