'use strict';

/** The CPU time of processes, in steps of 10 ms. Only on Linux. */

const fs = require('node:fs');

const TICKS_PER_SECOND = 100;

/**
 * What a process and everything that it has started have used so far, in milliseconds; 0 once it has ended.
 *
 * @param {number} pid
 * @returns {number}
 */
function cpuOfTree(pid) {
  let stat;
  let children;
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    children = fs.readdirSync(`/proc/${pid}/task`)
      .flatMap((tid) => fs.readFileSync(`/proc/${pid}/task/${tid}/children`, 'latin1').split(' '));
  } catch {
    return 0;
  }
  // Before the fields there is the program's name in brackets, which may have blanks and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const below = children.filter((child) => child !== '').map((child) => cpuOfTree(Number(child)));
  return below.reduce((sum, time) => sum + time, (ticks * 1000) / TICKS_PER_SECOND);
}

module.exports = { cpuOfTree };
