'use strict';

/**
 * The timeline as one page that needs nothing else: the drawing, what it shows in figures, and a script to zoom.
 */

const fs = require('node:fs');
const path = require('node:path');
const { AXIS, coloursOf } = require('./drawing');
const { counted, escaped, percentText, timeText } = require('./text');

/** @typedef {import('./model').Timeline} Timeline */
/** @typedef {import('./analysis').Findings} Findings */
/** @typedef {ReturnType<typeof import('./drawing').draw>} Drawing */

/** How many gaps are listed. */
const MAX_GAPS = 5;

const STYLE = `
  body { font: 14px/1.4 system-ui, sans-serif; margin: 16px; color: #222; background: #fff; }
  h1 { font-size: 18px; margin: 0 0 8px; }
  #plot { border: 1px solid #ccc; touch-action: none; cursor: grab; }
  #plot:active { cursor: grabbing; }
  svg.timeline { width: 100%; height: auto; display: block; user-select: none; }
  #hint { position: fixed; white-space: pre-line; background: #222; color: #fff; padding: 6px 9px; border-radius: 4px;
    font-size: 12px; max-width: 420px; pointer-events: none; }
  .legend { margin: 8px 0; color: #444; }
  .legend b { margin: 0 4px 0 12px; }
  .legend i { display: inline-block; width: 14px; height: 12px; margin: 0 4px 0 12px; vertical-align: -1px; }
  table { border-collapse: collapse; }
  th, td { text-align: left; padding: 2px 14px 2px 0; font-weight: normal; }
  th { color: #666; }
  td { font-variant-numeric: tabular-nums; }
`;

/**
 * What was found, as rows of a table.
 * @param {Findings} findings
 * @returns {[what: string, how: string][]}
 */
function rowsOf({ workers, chunks, calls, failed, busy, available, elapsed, gaps, path: steps, pathBusy }) {
  const failures = failed > 0 ? `, ${counted(failed, 'call')} failed` : '';
  /** @type {[string, string][]} */
  const rows = [
    ['calls', `${counted(calls, 'call')} in ${counted(chunks, 'chunk')}${failures}`],
    ['in progress', timeText(elapsed)],
    ['workers', `${workers}, busy ${percentText(available > 0 ? busy / available : 0)} of that time`],
  ];
  if (steps.length > 0) {
    const total = steps[steps.length - 1].span.to - steps[0].span.from;
    const share = total > 0 ? ` (${percentText(pathBusy / total)} of it in functions of yours and their answers)` : '';
    rows.push(['critical path', `${counted(steps.length, 'step')} in ${timeText(total)}${share}`]);
  }
  if (gaps.length > 0) {
    const longest = gaps.slice(0, MAX_GAPS).map(({ lane, gap: { from, to } }) => {
      return `${lane.name}: ${timeText(to - from)} from ${timeText(from)} on`;
    });
    rows.push(['longest idle gaps', longest.join('; ')]);
  }
  return rows;
}

const YIELDED = '<i style="background: linear-gradient(#888 50%, #ddd 50% 85%, #888 85%)"></i>values yielded';

/** @param {Timeline} timeline */
function legend({ pools }) {
  const tasks = [...coloursOf(pools.flatMap(({ lanes }) => lanes))].map(
    ([name, colour]) => `<i style="background: ${colour}"></i>${escaped(name)}`,
  );
  const has = (/** @type {(lane: import('./model').Lane) => boolean} */ test) => {
    return pools.some(({ lanes }) => lanes.some(test));
  };
  const rest = [
    '<i style="outline: 2px solid #c00"></i>on the critical path',
    '<i style="background: repeating-linear-gradient(45deg, #fff3c4 0 3px, #e3b505 3px 5px)"></i>idle',
    '<i style="background: #bbb"></i>starting',
    ...(has((lane) => lane.marks.some(({ kind }) => kind === 'message')) ? ['<b>|</b> message'] : []),
    ...(has((lane) => lane.spans.some(({ kind }) => kind === 'yield')) ? [YIELDED] : []),
  ];
  return [...tasks, ...rest].join(' ');
}

/**
 * @param {string} title @param {Timeline} timeline @param {Findings[]} findings @param {Drawing} drawing
 */
function pageOf(title, timeline, findings, { svg, height, label, plot }) {
  const sizes = JSON.stringify({ label, plot, length: Math.max(timeline.length, 1), axis: AXIS, height });
  const script = fs.readFileSync(path.join(__dirname, 'page-script.js'), 'utf8');
  const tables = timeline.pools.map(({ name }, i) => {
    const rows = rowsOf(findings[i]).map(([what, how]) => `<tr><th>${escaped(what)}</th><td>${escaped(how)}</td></tr>`);
    return `<h2>${escaped(name)}</h2>\n<table>${rows.join('\n')}</table>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${STYLE} h2 { font-size: 15px; margin: 14px 0 4px; }</style>
<h1>${escaped(title)}</h1>
<div><button id="in">Zoom in</button> <button id="out">Zoom out</button> <button id="whole">Show all</button>
<span class="legend">wheel: zoom; drag: move; keys: + − 0 ← →</span></div>
<div class="legend">${legend(timeline)}</div>
<div id="plot">${svg}</div>
<div id="hint" hidden></div>
${tables.join('\n')}
<script type="application/json" id="sizes">${sizes}</script>
<script>
${script}</script>
</html>
`;
}

module.exports = { pageOf, rowsOf };
