'use strict';
// Runs chaos for a given time:
//
//   npm run chaos -- --seconds 60 --seed 7 --size 500 --mode child
//
// Each round prints its seed, with which it can be repeated: npm run chaos -- --seed 12 --rounds 1

const { parseArgs } = require('node:util');
const { round } = require('./round');

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    rounds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    size: { type: 'string', default: '400' },
    mode: { type: 'string', default: 'child,threads' },
  },
});

const types = { child: 'child-process', threads: 'worker-threads' };

async function main() {
  const modes = values.mode.split(',');
  for (const mode of modes) if (!(mode in types)) throw new Error(`--mode: 'child', 'threads', or both, not '${mode}'`);
  const end = Date.now() + Number(values.seconds) * 1000;
  const total = {};
  let rounds = 0;
  for (let seed = Number(values.seed); rounds < Number(values.rounds) && Date.now() < end; seed++) {
    for (const mode of modes) {
      const began = Date.now();
      const counts = await round(seed, types[mode], Number(values.size)).catch((error) => {
        throw new Error(`seed ${seed}, ${mode}: ${error.message}`, { cause: error });
      });
      for (const [what, count] of Object.entries(counts)) total[what] = (total[what] ?? 0) + count;
      console.log(`seed ${seed} ${mode}: ${JSON.stringify(counts)} in ${Date.now() - began} ms`);
    }
    rounds++;
  }
  console.log(`${rounds} rounds, every item settled once: ${JSON.stringify(total)}`);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
