'use strict';

/** The work of each host over time, as SVG text. */

const echarts = require('echarts');

const COLORS = ['#1f6feb', '#c9a227', '#2da44e', '#8250df', '#bf3989', '#57606a'];
const WIDTH = 1000;
const HEIGHT = 420;
const BINS = 60;

/**
 * How many processes of a host were computing, on average, in each of so many equal parts of the time.
 *
 * @param {import('./tiles.js').Rendered[]} rendered @param {number} began @param {number} took
 * @returns {number[]}
 */
function busyIn(rendered, began, took) {
  const length = took / BINS;
  return Array.from({ length: BINS }, (_, bin) => {
    const [from, to] = [began + bin * length, began + (bin + 1) * length];
    const within = rendered.map(({ begun, ended }) => Math.max(0, Math.min(ended, to) - Math.max(begun, from)));
    return within.reduce((sum, time) => sum + time, 0) / length;
  });
}

/**
 * @param {object} run
 * @param {string[]} run.hosts
 * @param {import('./tiles.js').Rendered[]} run.rendered
 * @param {import('./main.js').Loss[]} run.losses
 * @param {number} run.began
 * @param {number} run.took
 * @param {number} run.processes
 */
function workChart({ hosts, rendered, losses, began, took, processes }) {
  const middle = (/** @type {number} */ bin) => ((bin + 0.5) * took) / BINS / 1000;
  const series = hosts.map((name, index) => ({
    type: 'line',
    name,
    stack: 'work',
    step: 'middle',
    symbol: 'none',
    color: COLORS[index % COLORS.length],
    lineStyle: { width: 0 },
    areaStyle: { opacity: 0.85 },
    data: busyIn(rendered.filter(({ host }) => host === name), began, took).map((busy, bin) => [middle(bin), busy]),
    markLine: index > 0 ? undefined : {
      symbol: 'none',
      lineStyle: { color: '#cf222e', width: 1.5 },
      label: { formatter: '{b}', color: '#cf222e' },
      data: losses.flatMap(({ host, at, noticed }) => [
        { name: `${host} is lost`, xAxis: at / 1000 },
        ...(noticed === null ? [] : [{ name: 'noticed', xAxis: noticed / 1000 }]),
      ]),
    },
  }));
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#fff',
      textStyle: { fontFamily: 'sans-serif' },
      title: {
        text: `${rendered.length} tiles on ${hosts.length} hosts`,
        subtext: `processes that compute, of ${processes} on each host; without what was lost with a host`,
        left: 10,
        top: 5,
        textStyle: { fontSize: 15 },
      },
      legend: { top: 8, right: 30, data: hosts },
      grid: { left: 60, right: 40, top: 85, bottom: 55 },
      xAxis: {
        type: 'value', min: 0, max: Math.ceil(took / 100) / 10, name: 'seconds', nameLocation: 'middle', nameGap: 32,
      },
      yAxis: { type: 'value', min: 0, max: hosts.length * processes },
      series,
    });
    return `${chart.renderToSVGString()}\n`;
  } finally {
    chart.dispose();
  }
}

module.exports = { busyIn, workChart };
