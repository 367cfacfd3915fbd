'use strict';

/** What Lambda grants for a memory size, and what it charges. Sizes are in MB, durations in milliseconds. */

/** One vCPU; the share grows in proportion to the memory. */
const MB_PER_CPU = 1769;
/** From this many megabytes on, so many cores are visible, whatever the share of them. */
const CORES = [[0, 2], [3009, 3], [5308, 4], [7077, 5], [8846, 6]];
/** US dollars per GB-second: x86, us-east-1, the first tier, without the free one. */
const PRICE = 0.0000166667;
const GB = 1024;

/** @param {number} size */
const vcpus = (size) => size / MB_PER_CPU;

/** @param {number} size */
const cores = (size) => /** @type {number[]} */ (CORES.findLast(([from]) => size >= from))[1];

/** How many workers `@parallelizer/node` starts by itself. @param {number} size */
const defaultWorkers = (size) => Math.max(1, Math.min(cores(size), Math.round(vcpus(size))));

/** Billing is by the whole millisecond. @param {number} size @param {number} duration */
const gigabyteSeconds = (size, duration) => (size / GB) * (Math.ceil(duration) / 1000);

/** Of a million invocations, in US dollars, without what the requests themselves cost. @param {number} size @param {number} duration */
const cost = (size, duration) => gigabyteSeconds(size, duration) * PRICE * 1e6;

/**
 * Sizes of which this machine can play the part, and those that need more cores than it has.
 *
 * @param {readonly number[]} sizes
 * @param {number} machineCores
 */
const divide = (sizes, machineCores) => ({
  measured: sizes.filter((size) => vcpus(size) <= machineCores),
  modelled: sizes.filter((size) => vcpus(size) > machineCores),
});

/** From the smallest to the largest that Lambda has; whole vCPUs, and the default number of workers, change at 1,769 n. */
const SIZES = [128, 256, 512, 1024, 1769, 2048, 2654, 3008, 3538, 5307, 7076, 8845, 10240];

module.exports = { SIZES, PRICE, vcpus, cores, defaultWorkers, gigabyteSeconds, cost, divide };
