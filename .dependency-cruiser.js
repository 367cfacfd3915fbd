'use strict';

/**
 * Who may require whom in `lib/`. `__test__/structure.test.js` checks it with every run of the tests, and
 * `npx depcruise --config .dependency-cruiser.js *.js lib` shows the same.
 *
 * Types are not part of it: a comment may name the type of any file.
 */

/**
 * The floors, from the ground up. A file may require what is on its own floor and below, and nothing above; what shares a
 * line does not know each other.
 */
const FLOORS = [
  ['lib/package'], // how the published package loads its files
  ['lib/intrinsics'], // what is taken from Node before anybody can replace it
  // What parents and workers have in common, down to the last byte.
  ['lib/errors.js'], // every error, with its remedy
  ['lib/transport'], // frames on their way between a parent and its workers
  ['lib/codec'], // values to parts of frames, and back
  ['lib/events'], // records of AWS events, decoded
  // A worker is given nothing from above this line.
  ['lib/worker'], // what runs in a worker
  ['lib/fallback'], // what takes the place of the addon where there is none
  ['lib/native', 'lib/host'], // the addon, or that; what machine and process this is
  ['lib/remote'], // what producers and hosts on different machines have in common; adapters to engines
  ['lib/options'], // what the user may say, checked
  ['lib/carriers'], // workers that JavaScript looks after itself
  ['lib/jobs'], // jobs in progress
  ['lib/pool', 'lib/parallelizer', 'lib/serve'], // the public classes; hosts for other machines
  ['lib/lambda', 'lib/opentelemetry'], // the public functions for AWS Lambda, and for OpenTelemetry
  ['index.js', 'lambda.js', 'lambda-invoke.js', 'bullmq.js', 'opentelemetry.js'],
];

/** @param {readonly string[]} places files or folders */
const within = (places) => `^(?:${places.map((place) => place.replaceAll('.', '\\.')).join('|')})(?:/|$)`;

/** @param {readonly string[]} places @param {number} floor */
const upward = (places, floor) => {
  const above = FLOORS.slice(floor + 1).flat();
  const beside = places.length > 1 ? places : [];
  return places.map((place) => ({
    name: `upward from ${place}`,
    severity: 'error',
    from: { path: within([place]) },
    to: { path: within([...above, ...beside.filter((other) => other !== place)]) },
  }));
};

module.exports = {
  forbidden: [
    { name: 'circle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not found', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '\\.node$|^@parallelizer/' } },
    { name: 'on no floor', severity: 'error', from: { path: '^lib/', pathNot: within(FLOORS.flat()) }, to: {} },
    ...FLOORS.slice(0, -1).flatMap(upward),
  ],
  options: { moduleSystems: ['cjs'], doNotFollow: { path: 'node_modules' }, exclude: { path: '\\.d\\.ts$' } },
};
