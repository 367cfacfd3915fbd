'use strict';

/**
 * The timeline as one page that needs nothing else: the drawing, what it shows in figures, and a script to zoom.
 */

const fs = require('node:fs');
const path = require('node:path');
const { AXIS } = require('./drawing');
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
  .help { color: #444; }
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

/**
 * @param {string} title @param {Timeline} timeline @param {Findings[]} findings @param {Drawing} drawing
 */
function pageOf(title, timeline, findings, { svg, floor, label, plot }) {
  const sizes = JSON.stringify({ label, plot, length: Math.max(timeline.length, 1), axis: AXIS, height: floor });
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
<span class="help">wheel: zoom; drag: move; keys: + − 0 ← →</span></div>
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
