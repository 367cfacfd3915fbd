'use strict';
// `parallelizer trace`: the timeline as it is read, its critical path and idle gaps, and the files that are written.
// (`npm run test:browser` opens the page.)

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { analyse } = require('../lib/trace/analysis');
const { readTimeline } = require('../lib/trace/model');
const { figure } = require('../../scripts/timeline-figure');
const { root } = require('../../__test__/support/helpers');
const { environment, folder, read, run } = require('./support/command');
const { Timeline, example, talking } = require('./support/timeline');

/** @param {Timeline} timeline */
function analysed({ json }) {
  const { pools } = readTimeline(JSON.parse(json));
  return { pool: pools[0], findings: analyse(pools[0]) };
}

const stepsOf = ({ path }) => path.map(({ lane, span }) => [lane.workerIndex, span.kind, span.from, span.to]);

test('lanes are in the order of the workers, with what happened on each', () => {
  const { pool } = analysed(example());
  assert.equal(pool.name, 'Pool of orders');
  assert.deepEqual(pool.lanes.map(({ name }) => name), ['caller', 'worker 0', 'worker 1']);
  assert.deepEqual(pool.lanes.map(({ spans }) => spans.length), [1, 9, 3]);
  assert.deepEqual(pool.lanes[2].marks.map(({ kind, at }) => [kind, at]), [['death', 40_000]]);
  assert.deepEqual(pool.runs.map(({ from, to }) => [from, to]), [[1000, 100_000]]);
});

test('the critical path is the chain that ends last, back to the start of its worker', () => {
  const { findings } = analysed(example());
  const steps = stepsOf(findings);
  assert.equal(steps.length, 9);
  assert.deepEqual(steps[0], [0, 'boot', 0, 20_000]);
  assert.ok(steps.every(([worker]) => worker === 0));
  assert.equal(findings.pathBusy, 8 * 9_900);
});

test('a chunk that was submitted upon an answer waited for that, and not for its worker', () => {
  const timeline = new Timeline().run(0, 500_000).boot(0, 0, 10_000).boot(1, 0, 10_000);
  timeline.chunk(0, 10_000, 12_000, { submitted: 0 });
  timeline.chunk(1, 10_000, 300_000, { submitted: 0 });
  // Its worker had been free for long.
  timeline.chunk(0, 300_100, 400_000, { submitted: 300_050 });
  const steps = stepsOf(analysed(timeline).findings);
  assert.deepEqual(steps, [[1, 'boot', 0, 10_000], [1, 'chunk', 10_000, 300_000], [0, 'chunk', 300_100, 400_000]]);
});

test('idle is a worker without a chunk while a run is in progress', () => {
  const timeline = new Timeline().run(1000, 2000).run(5000, 9000);
  timeline.chunk(0, 1000, 2000).chunk(0, 5000, 9000).chunk(1, 1200, 1500).chunk(1, 6000, 7000);
  const { pool, findings } = analysed(timeline);
  assert.deepEqual(pool.lanes.find(({ workerIndex }) => workerIndex === 0)?.gaps, []);
  const gaps = pool.lanes.find(({ workerIndex }) => workerIndex === 1)?.gaps;
  assert.deepEqual(gaps, [[0, 200], [500, 1000], [4000, 5000], [6000, 8000]].map(([from, to]) => ({ from, to })));
  assert.deepEqual([findings.busy, findings.available, findings.elapsed], [6300, 10_000, 5000]);
  assert.deepEqual(findings.gaps[0].gap, { from: 6000, to: 8000 });
});

test('chunks without a run, lanes without a name, a plain list and unknown events are read as well', () => {
  const list = JSON.parse(new Timeline().chunk(0, 0, 10).json).traceEvents.filter(({ ph }) => ph !== 'M');
  const { pools } = readTimeline([...list, { ph: 'C', ts: list[0].ts, pid: 1, tid: 1 }, null, 3, { ph: 'X' }]);
  assert.equal(pools[0].lanes[0].name, 'thread 1');
  assert.equal(analyse(pools[0]).chunks, 1);
});

test('both files are written beside the timeline, and the figures to stdout', async (t) => {
  const at = folder(t);
  const { code, stdout, stderr } = await run(['trace', at('t.json', example().json)]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Pool of orders\n {2}calls: +45 calls in 9 chunks\n/);
  assert.match(stdout, /critical path: +9 steps in 99.3 ms \(80 % of it/);
  assert.match(stdout, /longest idle gaps: +worker 1: 40 ms from 60 ms on/);
  const [svg, html] = [read(at('t.svg')), read(at('t.html'))];
  assert.match(svg, /^<svg xmlns=/);
  assert.equal(svg.match(/class="chunk/g)?.length, 9);
  assert.equal(svg.match(/class="chunk critical/g)?.length, 8);
  assert.ok(svg.includes('store &lt;b&gt;&amp;&quot;') && !svg.includes('store <b>'));
  assert.ok(html.includes(svg.trim()));
  assert.doesNotMatch(html.replaceAll('http://www.w3.org/2000/svg', ''), /(?:src|href)=|https?:|@import/, 'nothing from elsewhere');
});

test('what calls have said is drawn within them, with hints, and changes no figure', async (t) => {
  const { findings } = analysed(talking());
  assert.deepEqual([findings.chunks, findings.calls, findings.busy], [2, 2, 144_000]);
  assert.ok(stepsOf(findings).every(([, kind]) => kind !== 'yield'));
  const at = folder(t);
  const { code, stdout, stderr } = await run(['trace', at('t.json', talking().json)]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /calls: +2 calls in 2 chunks\n/);
  const [svg, html] = [read(at('t.svg')), read(at('t.html'))];
  assert.equal(svg.match(/class="yield"/g)?.length, 3);
  assert.equal(svg.match(/class="mark message"/g)?.length, 3);
  assert.ok(svg.includes('yielded 16 values, from number 32 on'));
  assert.ok(svg.includes('message at 30 ms\nof call 1\n12 bytes\nrun r1'));
  assert.ok(svg.includes('yielded 48 values\nas far ahead of its reader as it may be: 20 ms'));
  assert.match(html, /class="legend">[^]*>message<[^]*>values yielded</);
  assert.doesNotMatch((await run(['trace', at('e.json', example().json), '--html', '-'])).stdout, />values yielded</);
});

test('the picture of the documentation is what its script draws', () => {
  assert.equal(read(path.join(root, 'docs/figures/timeline.svg')), figure(), 'node scripts/timeline-figure.js makes it anew');
});

test('--svg and --html name the files, or stdout', async (t) => {
  const at = folder(t);
  const file = at('t.json', example().json);
  const { code, stdout } = await run(['trace', file, '--svg', '-']);
  assert.equal(code, 0);
  assert.match(stdout, /^<svg[^]*<\/svg>\n$/);
  assert.deepEqual(fs.readdirSync(at('.')), ['t.json']);
  const page = await run(['trace', '-', '--html', at('x.html'), '--quiet'], { stdin: example().json });
  assert.deepEqual([page.code, page.stdout], [0, '']);
  assert.match(read(at('x.html')), /^<!doctype html>/);
});

test('what others have written in this format is drawn as far as it goes', async (t) => {
  const at = folder(t);
  const odd = [undefined, null, 'text', 5, -1, {}, []];
  const events = ['chunk', 'worker', 'run', 'encode', 'toString', null].flatMap((cat) =>
    ['X', 'i', 'b', 'e', 'M'].flatMap((ph) => odd.map((value) => ({ cat, ph, ts: 1, name: value, args: value, pid: value, tid: value, dur: value, id: value }))));
  at('trace.json', JSON.stringify(events));
  const { code, stderr } = await run(['trace', at('trace.json')]);
  assert.deepEqual([code, stderr], [0, '']);
});

test('what is no timeline is refused, with how to make one', async (t) => {
  const at = folder(t);
  for (const [args, message] of [
    [[], /say which timeline: parallelizer trace trace\.json/],
    [[at('nowhere')], /there is no file/],
    [[at('a', 'no JSON')], /is not JSON: .*PARALLELIZER_TRACE=trace\.json/],
    [[at('b', '{}')], /has no "traceEvents"/],
    [[at('c', '{"traceEvents":[]}')], /has no events/],
    [[at('c'), 'd'], /one argument too many/],
    [[at('d', example().json), '--svg', at('no/where.svg')], /--svg: .* cannot be written/],
    [[at('d'), '--svg', '-', '--html', '-'], /cannot both go to stdout/],
  ]) {
    const { code, stderr } = await run(['trace', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
});

test('the timeline of a real pool is drawn: each of its chunks, on the lanes of its workers', async (t) => {
  const at = folder(t);
  const program = `const { Pool } = require(${JSON.stringify(root)});
    const pool = new Pool(2);
    const spin = (ms) => { const end = Date.now() + ms; while (Date.now() < end); };
    pool.map(spin, [1, 5, 2, 8, 3, 4]).then(() => pool.terminate());`;
  const env = { ...environment(), PARALLELIZER_TRACE: at('t.json') };
  const { status, stderr } = spawnSync(process.execPath, ['-e', program], { env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const { code, stdout } = await run(['trace', at('t.json')]);
  assert.equal(code, 0);
  assert.match(stdout, /calls: +6 calls in \d+ chunks?\n/);
  assert.match(stdout, /workers: +2, busy \d+ % of that time/);
  assert.match(stdout, /critical path: +\d+ steps? in [\d.]+ (?:µs|ms|s) /);
  const chunks = JSON.parse(read(at('t.json'))).traceEvents.filter(({ cat, ph }) => cat === 'chunk' && ph === 'X');
  assert.equal(read(at('t.svg')).match(/class="chunk/g)?.length, chunks.length);
});
