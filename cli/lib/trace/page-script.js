'use strict';

/**
 * Runs in the page: zooms and moves the timeline, and shows the hints. Part of the page as text; see page.js.
 */

(() => {
  const svg = document.querySelector('svg.timeline');
  const hint = document.getElementById('hint');
  const { label, plot, length, axis, height } = JSON.parse(document.getElementById('sizes').textContent);
  const time = svg.querySelector('.time');
  const ticks = svg.querySelector('.axis');
  const idle = svg.querySelector('#idle');
  const MAX_ZOOM = Math.max(10, length);
  /** How far it is zoomed in, and where the beginning stands then. */
  const view = { zoom: 1, left: 0 };
  let isDrawing = false;

  // Their own hints would come late, and a second time.
  for (const title of svg.querySelectorAll('title')) {
    title.parentNode.dataset.hint = title.textContent;
    title.remove();
  }

  /** @param {number} micros */
  function timeText(micros) {
    const round = (value) => String(Number(value.toPrecision(6)));
    if (Math.abs(micros) < 1000) return `${round(micros)} µs`;
    if (Math.abs(micros) < 1e6) return `${round(micros / 1000)} ms`;
    return `${round(micros / 1e6)} s`;
  }

  function drawAxis() {
    const scale = (plot / length) * view.zoom;
    const [from, to] = [-view.left / scale, (plot - view.left) / scale];
    const magnitude = 10 ** Math.floor(Math.log10((to - from) / 10));
    const step = magnitude * [1, 2, 5, 10].find((each) => each * magnitude >= (to - from) / 10);
    let text = '';
    for (let i = Math.ceil(from / step); i * step <= to; i++) {
      const at = (i * step * scale + view.left).toFixed(2);
      text += `<line x1="${at}" x2="${at}" y1="${axis - 6}" y2="${height}"/>`
        + `<text x="${at}" y="${axis - 12}">${timeText(i * step)}</text>`;
    }
    ticks.innerHTML = text;
  }

  function draw() {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      time.setAttribute('transform', `matrix(${view.zoom} 0 0 1 ${view.left} 0)`);
      // The hatching is to look the same at every zoom.
      idle.setAttribute('patternTransform', `scale(${1 / view.zoom} 1) rotate(45)`);
      svg.dataset.zoom = String(view.zoom);
      drawAxis();
    });
  }

  /** @param {number} zoom @param {number} left */
  function show(zoom, left) {
    view.zoom = Math.min(Math.max(zoom, 1), MAX_ZOOM);
    view.left = Math.min(0, Math.max(left, plot - plot * view.zoom));
    draw();
  }

  /** @param {number} factor @param {number} at what stays where it is */
  function zoomBy(factor, at) {
    const zoom = Math.min(Math.max(view.zoom * factor, 1), MAX_ZOOM);
    show(zoom, at - (at - view.left) * (zoom / view.zoom));
  }

  /** The place within the plot, however large the drawing is on the screen. @param {MouseEvent} event */
  function placeOf(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return point.x - label;
  }

  svg.addEventListener('wheel', (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      show(view.zoom, view.left - (event.deltaX || event.deltaY));
    } else {
      zoomBy(Math.exp(-event.deltaY / 400), placeOf(event));
    }
  }, { passive: false });

  /** @type {{ at: number, left: number } | null} */
  let drag = null;
  svg.addEventListener('pointerdown', (event) => {
    drag = { at: placeOf(event), left: view.left };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener('pointermove', (event) => {
    if (drag !== null) show(view.zoom, drag.left + placeOf(event) - drag.at);
  });
  svg.addEventListener('pointerup', () => (drag = null));
  svg.addEventListener('dblclick', () => show(1, 0));

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      '+': () => zoomBy(1.5, plot / 2),
      '=': () => zoomBy(1.5, plot / 2),
      '-': () => zoomBy(1 / 1.5, plot / 2),
      0: () => show(1, 0),
      ArrowLeft: () => show(view.zoom, view.left + plot / 8),
      ArrowRight: () => show(view.zoom, view.left - plot / 8),
    };
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : undefined;
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
  for (const [id, factor] of [['in', 1.5], ['out', 1 / 1.5]]) {
    document.getElementById(id).addEventListener('click', () => zoomBy(factor, plot / 2));
  }
  document.getElementById('whole').addEventListener('click', () => show(1, 0));

  svg.addEventListener('pointermove', (event) => {
    // A drag has the whole drawing as its target.
    const text = drag === null ? event.target.dataset?.hint : undefined;
    hint.hidden = text === undefined;
    if (text === undefined) return;
    hint.textContent = text;
    const { innerWidth, innerHeight } = window;
    hint.style.left = `${Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8)}px`;
    hint.style.top = `${Math.min(event.clientY + 14, innerHeight - hint.offsetHeight - 8)}px`;
  });
  svg.addEventListener('pointerleave', () => (hint.hidden = true));
  draw();
})();
