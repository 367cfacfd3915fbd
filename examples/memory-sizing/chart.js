'use strict';

/** A chart as SVG text: duration and cost by memory size, a line for each way. */

const echarts = require('echarts');
const { ADDON, ALL, ONE, TWO, WAYS } = require('./ways.js');

/** @typedef {import('./report.js').Row} Row */

const COLORS = { [ONE]: '#57606a', [ALL]: '#c9a227', [ADDON]: '#1f6feb', [TWO]: '#8fbcff' };
const WIDTH = 1000;
const HEIGHT = 460;

/**
 * @param {object} chart
 * @param {string} chart.title
 * @param {Row[]} chart.rows of one kind of work
 */
function sizeChart({ title, rows }) {
  const sizes = [...new Set(rows.map(({ size }) => size))].sort((left, right) => left - right);
  const panels = [
    { name: 'duration in ms, logarithmic', value: (/** @type {Row} */ row) => row.duration?.median, axis: { type: 'log' } },
    { name: 'US dollars per million invocations', value: (/** @type {Row} */ row) => row.cost, axis: { type: 'value', min: 0 } },
  ];
  // Where the last measured size meets the first modelled one, both lines have a point.
  const lastMeasured = Math.max(...rows.filter((row) => !row.modelled).map(({ size }) => size));

  const series = panels.flatMap(({ value }, panel) => WAYS.flatMap((way) => {
    const own = rows.filter((row) => row.way === way && row.duration !== null);
    const line = (/** @type {Row[]} */ points, /** @type {object} */ more) => ({
      type: 'line',
      name: way,
      color: COLORS[way],
      xAxisIndex: panel,
      yAxisIndex: panel,
      data: points.map((row) => [String(row.size), value(row)]),
      ...more,
    });
    const modelled = own.filter((row) => row.modelled || row.size === lastMeasured);
    return [
      line(own.filter((row) => !row.modelled), { symbolSize: 6, lineStyle: { width: way === ADDON ? 3 : 1.7 } }),
      line(modelled.length > 1 ? modelled : [], { symbol: 'emptyCircle', symbolSize: 4, lineStyle: { width: 1.2, type: 'dashed' } }),
    ];
  }));

  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#fff',
      textStyle: { fontFamily: 'sans-serif' },
      title: { text: title, subtext: 'dashed: modelled', left: 10, top: 5, textStyle: { fontSize: 15 } },
      legend: { top: 50, left: 10, itemGap: 24, data: WAYS.filter((way) => rows.some((row) => row.way === way)) },
      grid: [{ left: 65, width: 410, top: 115, bottom: 60 }, { left: 565, width: 410, top: 115, bottom: 60 }],
      xAxis: panels.map((_, gridIndex) => ({
        type: 'category',
        gridIndex,
        data: sizes.map(String),
        name: 'memory size in MB',
        nameLocation: 'middle',
        nameGap: 42,
        axisLabel: { rotate: 45, interval: 0, fontSize: 11 },
      })),
      yAxis: panels.map(({ name, axis }, gridIndex) => ({
        ...axis,
        gridIndex,
        name,
        nameTextStyle: { align: 'left' },
        axisLabel: { formatter: (/** @type {number} */ number) => number.toLocaleString('en') },
      })),
      series,
    });
    return `${chart.renderToSVGString()}\n`;
  } finally {
    chart.dispose();
  }
}

module.exports = { sizeChart };
