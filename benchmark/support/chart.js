'use strict';

/** Charts as SVG text. The whiskers and bands are the quartiles. */

const echarts = require('echarts');
const { figure } = require('./format.js');

/** @typedef {import('./rounds.js').Summary} Summary */
/** @typedef {import('./peers/index.js').Kind} Kind */

/** @type {Record<Kind, string>} */
const COLORS = { own: '#1f6feb', library: '#9aa4b2', handwritten: '#c9a227', base: '#57606a' };
const KINDS = /** @type {const} */ ([
  ['own', '@parallelizer/node'],
  ['library', 'library'],
  ['handwritten', 'written by hand'],
  ['base', 'for reference'],
]);

/** From this ratio on small values would be invisible on a linear axis. */
const LOG_FROM = 30;
const WIDTH = 900;

/** @param {object} option @param {number} height */
function render(option, height) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption({ animation: false, backgroundColor: '#fff', textStyle: { fontFamily: 'sans-serif' }, ...option });
    return `${chart.renderToSVGString()}\n`;
  } finally {
    chart.dispose();
  }
}

/** @param {string} text @param {string} subtext */
const titled = (text, subtext) => ({ text, subtext, left: 10, top: 5, textStyle: { fontSize: 15 } });

/** @param {Summary} summary */
const whisker = ({ low, high }) => [low, high];

/**
 * @param {object} chart
 * @param {string} chart.title
 * @param {string} chart.unit
 * @param {({ name: string, kind: Kind } & Summary)[]} chart.bars
 */
function barChart({ title, unit, bars: all }) {
  const bars = all.filter((bar) => bar.kind !== 'base' || !isFarOff(bar, all.filter(({ kind }) => kind !== 'base')));
  const medians = bars.map(({ median }) => median);
  const type = Math.max(...medians) / Math.min(...medians) > LOG_FROM ? 'log' : 'value';
  const lowest = Math.min(...bars.map(({ low }) => low));
  // On a logarithmic axis a bar begins at the lower end of the axis.
  const min = type === 'log' ? 10 ** Math.floor(Math.log10(lowest)) : 0;
  const names = bars.map(({ name }) => name);
  const used = KINDS.filter(([kind]) => bars.some((bar) => bar.kind === kind));
  const option = {
    title: titled(title, `${unit}; median and quartiles${type === 'log' ? '; logarithmic' : ''}`),
    legend: { right: 30, top: 30, itemGap: 30, data: used.map(([, label]) => label) },
    grid: { left: 270, right: 70, top: 65, bottom: 40 },
    xAxis: { type, min, axisLabel: { formatter: (/** @type {number} */ value) => value.toLocaleString('en') } },
    yAxis: { type: 'category', data: names, inverse: true },
    series: [
      ...used.map(([kind, label]) => ({
        type: 'bar',
        name: label,
        // One bar per name, so the series overlap.
        barGap: '-100%',
        barWidth: 14,
        itemStyle: { color: COLORS[kind] },
        data: bars.map((bar) => (bar.kind === kind ? bar.median : null)),
      })),
      {
        type: 'custom',
        name: 'quartiles',
        silent: true,
        z: 10,
        encode: { x: [1, 2], y: 0 },
        data: bars.map((bar, index) => [index, ...whisker(bar), bar.median]),
        renderItem: drawWhisker,
      },
    ],
  };
  return render(option, 100 + 28 * bars.length);
}

/**
 * Whether a reference is so large that it would leave the others no room.
 *
 * @param {Summary} bar
 * @param {Summary[]} others
 */
function isFarOff({ median }, others) {
  const medians = others.map((other) => other.median);
  return medians.length > 0 && (median * LOG_FROM < Math.min(...medians) || median > LOG_FROM * Math.max(...medians));
}

/** @param {any} _params @param {any} api */
function drawWhisker(_params, api) {
  const [left, y] = api.coord([api.value(1), api.value(0)]);
  const [right] = api.coord([api.value(2), api.value(0)]);
  const style = { stroke: '#24292f', lineWidth: 1.2 };
  const line = (/** @type {number[]} */ [x1, y1, x2, y2]) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style });
  return {
    type: 'group',
    children: [
      line([left, y, right, y]),
      line([left, y - 4, left, y + 4]),
      line([right, y - 4, right, y + 4]),
      {
        type: 'text',
        style: {
          text: figure(api.value(3)),
          x: right + 6,
          y,
          fontSize: 11,
          fill: '#24292f',
          textVerticalAlign: 'middle',
        },
      },
    ],
  };
}

const OWN_PALETTE = [COLORS.own, '#54aeff', '#0a3069'];
const PALETTE = [
  '#8250df',
  '#cf222e',
  '#116329',
  '#bf8700',
  '#e85aad',
  '#953800',
  '#6e7781',
  '#d4a72c',
  '#1b7c83',
  '#4d2d00',
  '#a475f9',
  '#57ab5a',
];

/**
 * @param {object} chart
 * @param {string} chart.title
 * @param {string} chart.unit of the y axis
 * @param {string} chart.x what the x axis shows
 * @param {{ name: string, kind: Kind, points: ({ x: number } & Summary)[] }[]} chart.lines
 */
function lineChart({ title, unit, x, lines }) {
  const colors = { own: [...OWN_PALETTE], other: [...PALETTE] };
  const option = {
    title: titled(title, `${unit}; medians, with quartiles as bars; logarithmic`),
    legend: { type: 'plain', orient: 'vertical', right: 10, top: 60 },
    grid: { left: 20, right: 270, top: 70, bottom: 40, containLabel: true },
    xAxis: {
      type: 'log',
      name: x,
      nameLocation: 'middle',
      nameGap: 28,
      logBase: 10,
      axisLabel: { formatter: (/** @type {number} */ value) => value.toLocaleString('en') },
    },
    yAxis: { type: 'log', axisLabel: { formatter: (/** @type {number} */ value) => value.toLocaleString('en') } },
    series: lines.flatMap(({ name, kind, points }) => {
      const color = (kind === 'own' ? colors.own : colors.other).shift() ?? COLORS[kind];
      return [
        {
          type: 'line',
          name,
          color,
          symbolSize: 6,
          lineStyle: { width: kind === 'own' ? 3 : 1.5 },
          data: points.map((point) => [point.x, point.median]),
        },
        {
          type: 'custom',
          name,
          color,
          silent: true,
          encode: { x: 0, y: [1, 2] },
          data: points.map((point) => [point.x, ...whisker(point)]),
          renderItem: (/** @type {any} */ _params, /** @type {any} */ api) => {
            const [x1, y1] = api.coord([api.value(0), api.value(1)]);
            const [, y2] = api.coord([api.value(0), api.value(2)]);
            return { type: 'line', shape: { x1, y1, x2: x1, y2 }, style: { stroke: color, lineWidth: 1.2 } };
          },
        },
      ];
    }),
  };
  return render(option, 460);
}

/** Heights of a panel's parts, in pixels. */
const PANEL = { head: 48, bar: 25, foot: 30 };

/**
 * Several bar charts one below the other, each with an axis of its own that begins at 0.
 *
 * @param {object} chart
 * @param {string} chart.title
 * @param {{ title: string, unit: string, bars: ({ label: string, kind: Kind } & Summary)[] }[]} chart.panels
 * @param {string[]} chart.footer lines: where, when and how it was measured
 */
function panelChart({ title, panels, footer }) {
  const used = KINDS.filter(([kind]) => panels.some(({ bars }) => bars.some((bar) => bar.kind === kind)));
  const tops = [62];
  for (const { bars } of panels) tops.push(/** @type {number} */ (tops.at(-1)) + PANEL.head + PANEL.bar * bars.length + PANEL.foot);
  const bottom = /** @type {number} */ (tops.at(-1));
  const option = {
    title: [
      { text: title, left: 12, top: 8, textStyle: { fontSize: 16 } },
      ...panels.map((panel, index) => ({
        text: panel.title,
        subtext: panel.unit,
        left: 12,
        top: tops[index],
        itemGap: 3,
        textStyle: { fontSize: 13 },
        subtextStyle: { fontSize: 12, color: '#57606a' },
      })),
      { text: '', subtext: footer.join('\n'), left: 12, top: bottom, itemGap: 0, subtextStyle: { fontSize: 11, color: '#57606a', lineHeight: 16 } },
    ],
    legend: { left: 12, top: 36, itemGap: 24, data: used.map(([, label]) => label) },
    grid: panels.map(({ bars }, index) => ({ left: 270, right: 70, top: tops[index] + PANEL.head, height: PANEL.bar * bars.length })),
    xAxis: panels.map((_, gridIndex) => ({
      type: 'value',
      min: 0,
      gridIndex,
      axisLabel: { formatter: (/** @type {number} */ value) => value.toLocaleString('en') },
    })),
    yAxis: panels.map(({ bars }, gridIndex) => ({
      type: 'category',
      gridIndex,
      inverse: true,
      axisTick: { show: false },
      data: bars.map(({ label }) => label),
    })),
    series: panels.flatMap(({ bars }, index) => {
      const axes = { xAxisIndex: index, yAxisIndex: index };
      return [
        ...used.map(([kind, name]) => ({
          type: 'bar',
          name,
          ...axes,
          barGap: '-100%',
          barWidth: 14,
          itemStyle: { color: COLORS[kind] },
          data: bars.map((bar) => (bar.kind === kind ? bar.median : null)),
        })),
        {
          type: 'custom',
          name: 'quartiles',
          ...axes,
          silent: true,
          z: 10,
          encode: { x: [1, 2], y: 0 },
          data: bars.map((bar, at) => [at, ...whisker(bar), bar.median]),
          renderItem: drawWhisker,
        },
      ];
    }),
  };
  return render(option, bottom + 16 * footer.length + 12);
}

module.exports = { barChart, lineChart, panelChart };
