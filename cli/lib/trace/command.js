'use strict';

/**
 * `parallelizer trace`: reads a timeline, and writes it as a drawing and as a page.
 */

const fs = require('node:fs');
const path = require('node:path');
const { UsageError } = require('../usage-error');

/** @typedef {import('./model').Timeline} Timeline */

/** @type {import('../command-line').Command} */
const command = {
  name: 'trace',
  summary: 'A timeline of what each worker did, as a page to zoom in and as SVG',
  usage: 'FILE [--html FILE] [--svg FILE]',
  about: `
Draws the timeline that a program wrote with the variable PARALLELIZER_TRACE set, or with pool.trace().

  PARALLELIZER_TRACE=trace.json node program.js

  parallelizer trace trace.json

There is a lane per worker. The critical path, the chain of chunks by which the whole took as long as it did, is
outlined, and gaps in which a worker was idle while there was a run in progress are hatched. What else there is to know
of a chunk is shown when it is pointed at. The figures go to stdout.

Without flags, both files are written beside FILE, with its name. "-" stands for stdin or stdout.
`,
  groups: [
    {
      title: 'Output',
      flags: {
        html: { value: 'FILE', example: 'trace.html', help: 'The page: one file, without anything from elsewhere.' },
        svg: { value: 'FILE', example: 'trace.svg', help: 'The drawing, for documents.' },
        quiet: { short: 'q', help: 'Says nothing but errors.' },
      },
    },
  ],
  run: async ({ values, positionals }) => {
    const [file, ...more] = positionals;
    if (file === undefined) throw new UsageError('say which timeline: parallelizer trace trace.json');
    if (more.length > 0) throw new UsageError(`"${more[0]}" is one argument too many: one timeline at a time`);
    if (values.html === '-' && values.svg === '-') {
      throw new UsageError('--html - and --svg - cannot both go to stdout: name a file for one of them');
    }
    const timeline = timelineIn(file);
    const { analyse } = require('./analysis');
    const { draw } = require('./drawing');
    const { pageOf, rowsOf } = require('./page');
    const findings = timeline.pools.map(analyse);
    const drawing = draw(timeline, findings);
    const stem = file === '-' ? 'trace' : path.join(path.dirname(file), path.basename(file).replace(/\.json$/, ''));
    const isDefault = values.html === undefined && values.svg === undefined;
    const html = values.html ?? (isDefault ? `${stem}.html` : null);
    const svg = values.svg ?? (isDefault ? `${stem}.svg` : null);
    const isOnStdout = html === '-' || svg === '-';
    const say = (/** @type {string} */ text) => {
      if (!values.quiet) (isOnStdout ? process.stderr : process.stdout).write(text);
    };
    timeline.pools.forEach(({ name }, i) => {
      const rows = rowsOf(findings[i]).map(([what, how]) => `  ${`${what}:`.padEnd(20)}${how}\n`);
      say(`${name}\n${rows.join('')}`);
    });
    const title = `Timeline of ${path.basename(stem)}`;
    if (html !== null) write(html, pageOf(title, timeline, findings, drawing), '--html', say);
    if (svg !== null) write(svg, `${drawing.svg}\n`, '--svg', say);
    return 0;
  },
};

/** @param {string} file @returns {Timeline} */
function timelineIn(file) {
  const { NoTimeline, readTimeline } = require('./model');
  let text;
  try {
    text = fs.readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    throw new UsageError(code === 'ENOENT' ? `there is no file ${file}` : `${file} cannot be read: ${message}`);
  }
  try {
    return readTimeline(JSON.parse(text));
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    if (!(error instanceof NoTimeline || error instanceof SyntaxError)) throw error;
    const what = error instanceof NoTimeline ? message : `is not JSON: ${message}`;
    throw new UsageError(`${file} ${what}. Make a timeline with PARALLELIZER_TRACE=trace.json node program.js`);
  }
}

/** @param {string} file @param {string} text @param {string} flag @param {(text: string) => void} say */
function write(file, text, flag, say) {
  if (file === '-') {
    process.stdout.write(text);
    return;
  }
  try {
    fs.writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`${flag}: ${file} cannot be written: ${/** @type {Error} */ (error).message}`);
  }
  say(`${file}: ${Math.ceil(text.length / 1024)} KiB\n`);
}

module.exports = { command };
