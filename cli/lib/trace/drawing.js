'use strict';

/**
 * The timeline as SVG: a lane per worker, time from left to right. It stands for itself, with a hint on everything that
 * is pointed at; the page uses the same drawing, and moves its group `time` about.
 */

const { escaped, hintOf, markHint, timeText } = require('./text');

/** @typedef {import('./model').Timeline} Timeline */
/** @typedef {import('./model').Lane} Lane */
/** @typedef {import('./model').Span} Span */
/** @typedef {import('./analysis').Findings} Findings */

/** All in pixels. */
const LABEL = 150;
const WIDTH = 1200;
const MARGIN = 30;
const LANE = 26;
const BAR = 18;
const TITLE = 34;
const AXIS = 28;

/** Colours that tell tasks apart, also for eyes that see few of them (after Okabe and Ito). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c6bb1', '#7f8c00'];
/** A gap that is shorter than this share of the whole is not worth a mark. */
const SHORT_GAP = 1 / 50_000;

const STYLE = `
  svg.timeline { font: 12px system-ui, sans-serif; background: #fff; color: #222; }
  .timeline text { fill: #222; }
  .timeline .axis line, .timeline .lane line { stroke: #ddd; vector-effect: non-scaling-stroke; }
  .timeline .axis text { fill: #666; text-anchor: middle; }
  .timeline .time rect { vector-effect: non-scaling-stroke; stroke-width: 0.6; }
  .timeline .boot { fill: #bbb; stroke: #bbb; }
  .timeline .run { fill: #9ab; stroke: #9ab; fill-opacity: 0.35; }
  .timeline .encode { fill: #567; stroke: #567; }
  .timeline .decode { fill: #89a; stroke: #89a; }
  .timeline .gap { fill: url(#idle); stroke: none; }
  .timeline .critical { stroke: #c00 !important; stroke-width: 2 !important; }
  .timeline .path { fill: none; stroke: #c00; stroke-width: 1.5; stroke-dasharray: 3 2; }
  .timeline .path { vector-effect: non-scaling-stroke; pointer-events: none; }
  .timeline .mark { stroke: #c00; stroke-width: 2; vector-effect: non-scaling-stroke; }
  .timeline .mark.exit, .timeline .mark.recall { stroke: #777; }
  .timeline .mark.message { stroke: #222; stroke-width: 1.5; }
  .timeline .yield { fill: #fff; fill-opacity: 0.75; stroke: #fff; }
`;

/** @param {number} value */
const short = (value) => Number(value.toFixed(3));

/** @param {number} length @param {number} most how many ticks, in microseconds @returns {number} */
function tickStep(length, most = 10) {
  const least = length / most;
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(least, 0.001)));
  return magnitude * (/** @type {number} */ ([1, 2, 5, 10].find((each) => each * magnitude >= least)));
}

/**
 * @param {Timeline} timeline @param {Findings[]} findings of each of its pools
 * @returns {{ svg: string, width: number, height: number, floor: number, label: number, plot: number }} `plot`: how
 *   wide the part is that is time; `floor`: how far down it goes
 */
function draw({ pools, length }, findings) {
  const plot = WIDTH - LABEL - MARGIN;
  const scale = plot / Math.max(length, 1);
  const x = (/** @type {number} */ micros) => short(micros * scale);
  const w = (/** @type {{ from: number, to: number }} */ { from, to }) => short(Math.max(0, (to - from) * scale));
  const colours = coloursOf(pools.flatMap(({ lanes }) => lanes));
  /** @type {string[]} */
  const labels = [];
  /** @type {string[]} */
  const lines = [];
  /** @type {string[]} */
  const bars = [];
  let y = AXIS;
  pools.forEach(({ name, lanes, runs }, i) => {
    labels.push(`<text x="8" y="${y + TITLE - 12}" font-weight="600">${escaped(name)}</text>`);
    y += TITLE;
    /** @type {Map<Lane, number>} */
    const tops = new Map();
    for (const lane of lanes) {
      const top = y + (LANE - BAR) / 2;
      tops.set(lane, top);
      labels.push(`<text x="16" y="${y + 17}">${escaped(lane.name)}</text>`);
      lines.push(`<line x1="0" x2="${plot}" y1="${y + LANE}" y2="${y + LANE}"/>`);
      if (lane.workerIndex === null) for (const run of runs) bars.push(bar(run, top, 7, x, w, ''));
      for (const gap of lane.gaps) {
        if ((gap.to - gap.from) / length < SHORT_GAP) continue;
        const hint = `idle for ${timeText(gap.to - gap.from)}, while a run was in progress`;
        const place = `x="${x(gap.from)}" y="${top}" width="${w(gap)}" height="${BAR}"`;
        bars.push(`<rect class="gap" ${place}><title>${escaped(hint)}</title></rect>`);
      }
      for (const span of lane.spans) {
        const [above, height] = placeOf(span, lane);
        bars.push(bar(span, top + above, height, x, w, colours.get(span.name) ?? ''));
      }
      for (const mark of lane.marks) {
        const at = x(mark.at);
        const title = `<title>${escaped(markHint(mark))}</title>`;
        // There may be many messages, and they are small.
        const path = mark.kind === 'message' ? `M${at} ${top - 3}v7` : `M${at} ${top - 3}v${BAR + 6}`;
        bars.push(`<path class="mark ${escaped(mark.kind)}" d="${path}">${title}</path>`);
      }
      y += LANE;
    }
    const points = findings[i].path.flatMap(({ lane, span }) => {
      const middle = Number(tops.get(lane)) + BAR / 2;
      return [`${x(span.from)},${middle}`, `${x(span.to)},${middle}`];
    });
    if (points.length > 2) bars.push(`<polyline class="path" points="${points.join(' ')}"/>`);
  });
  const { entries, bottom } = legend(pools, colours, findings, y + LANE / 2);
  const height = bottom + MARGIN / 2;
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" class="timeline" ${size} role="img" aria-label="Timeline">
<style>${STYLE}</style>
<defs>
<pattern id="idle" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#fff3c4"/><line y2="6" stroke="#e3b505" stroke-width="2"/></pattern>
<clipPath id="plot-area"><rect width="${plot + MARGIN}" height="${height}"/></clipPath>
</defs>
<g class="labels">${labels.join('\n')}</g>
<g class="legend">${entries.join('\n')}</g>
<g transform="translate(${LABEL})"><g class="axis">${axis(length, scale, y)}</g>
<g class="lane">${lines.join('')}</g>
<g clip-path="url(#plot-area)"><g class="time">
${bars.join('\n')}
</g></g></g>
</svg>`;
  return { svg, width: WIDTH, height, floor: y, label: LABEL, plot };
}

/**
 * What the colours and marks of this drawing mean, in as many lines as it takes.
 * @param {readonly import('./model').PoolLanes[]} pools @param {Map<string, string>} colours
 * @param {Findings[]} findings @param {number} top
 * @returns {{ entries: string[], bottom: number }}
 */
function legend(pools, colours, findings, top) {
  const lanes = pools.flatMap((pool) => pool.lanes);
  const hasSpan = (/** @type {string} */ kind) => lanes.some(({ spans }) => spans.some((span) => span.kind === kind));
  const hasMark = (/** @type {string} */ kind) => lanes.some(({ marks }) => marks.some((mark) => mark.kind === kind));
  const hasRun = pools.some(({ runs }) => runs.length > 0);
  const hasLost = lanes.some(({ spans }) => spans.some(({ args }) => args.outcome === 'unanswered'));
  const box = (/** @type {string} */ attributes) => `<rect width="14" height="12" ${attributes}/>`;
  const line = (/** @type {string} */ colour) => `<path d="M7 -1v14" stroke="${colour}" stroke-width="2"/>`;
  /** @type {[sample: string, text: string][]} */
  const all = [
    ...[...colours].map(([name, colour]) => /** @type {[string, string]} */ ([box(`fill="${colour}"`), name])),
    ...(findings.some(({ path }) => path.length > 0)
      ? [/** @type {[string, string]} */ ([box('fill="#fff" stroke="#c00" stroke-width="2"'), 'critical path'])] : []),
    ...(lanes.some(({ gaps }) => gaps.length > 0)
      ? [/** @type {[string, string]} */ ([box('fill="url(#idle)"'), 'idle while there was work'])] : []),
  ];
  const rest = /** @type {[boolean, string, string][]} */ ([
    [hasLost, box('fill="#888" fill-opacity="0.3"'), 'recalled, or lost'],
    [hasSpan('boot'), box('fill="#bbb"'), 'starting'],
    [hasMark('death'), line('#c00'), 'death'],
    [hasMark('exit'), line('#777'), 'end'],
    [hasMark('recall'), line('#777'), 'calls taken back'],
    [hasMark('message'), '<path d="M7 2v8" stroke="#222" stroke-width="1.5"/>', 'message'],
    [hasSpan('yield'), `${box('fill="#888"')}<rect y="6" width="14" height="4" fill="#ddd"/>`, 'values yielded'],
    [hasRun, box('fill="#9ab" fill-opacity="0.35" stroke="#9ab"'), 'run in progress'],
  ]);
  for (const [isThere, sample, text] of rest) if (isThere) all.push([sample, text]);
  let x = LABEL;
  let y = top;
  const entries = all.map(([sample, text]) => {
    const width = 40 + 7 * text.length;
    if (x > LABEL && x + width > WIDTH) [x, y] = [LABEL, y + LANE - 4];
    const place = `transform="translate(${x} ${y})"`;
    const entry = `<g ${place}>${sample}<text x="20" y="10">${escaped(text)}</text></g>`;
    x += width;
    return entry;
  });
  return { entries, bottom: y + LANE - 4 };
}

/**
 * Where in its lane a span is, and how high.
 * @param {Span} span @param {Lane} lane
 * @returns {[above: number, height: number]}
 */
function placeOf({ kind }, { workerIndex }) {
  if (workerIndex === null) return [8, BAR - 8];
  // Within the chunk of its call.
  return kind === 'yield' ? [BAR - 6, 4] : [0, BAR];
}

/**
 * @param {Span} span @param {number} top @param {number} height
 * @param {(micros: number) => number} x @param {(span: Span) => number} w @param {string} colour
 */
function bar(span, top, height, x, w, colour) {
  const classes = `${span.kind}${span.isCritical ? ' critical' : ''}`;
  const paint = span.kind === 'chunk' ? ` fill="${colour}" stroke="${colour}"` : '';
  const opacity = span.args.outcome === 'unanswered' ? ' fill-opacity="0.3"' : '';
  const place = `x="${x(span.from)}" y="${top}" width="${w(span)}" height="${height}"`;
  return `<rect class="${classes}" ${place}${paint}${opacity}><title>${escaped(hintOf(span))}</title></rect>`;
}

/** @param {number} length @param {number} scale @param {number} height */
function axis(length, scale, height) {
  const step = tickStep(length);
  const ticks = [];
  for (let i = 0; i * step <= length; i++) {
    const at = short(i * step * scale);
    ticks.push(`<line x1="${at}" x2="${at}" y1="${AXIS - 6}" y2="${height}"/>`);
    ticks.push(`<text x="${at}" y="${AXIS - 12}">${timeText(i * step)}</text>`);
  }
  return ticks.join('');
}

/** A colour for each task. @param {Lane[]} lanes @returns {Map<string, string>} */
function coloursOf(lanes) {
  const chunks = lanes.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 'chunk'));
  const names = new Set(chunks.map(({ name }) => name));
  return new Map([...names].map((name, i) => [name, COLOURS[i % COLOURS.length]]));
}

module.exports = { AXIS, draw };
