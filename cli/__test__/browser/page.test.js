'use strict';
// The page is opened, zoomed, moved and pointed at, as somebody would with a mouse. `SCREENSHOTS=folder` keeps what it
// looks like.

const assert = require('node:assert/strict');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { after, before, describe, test } = require('node:test');

const { chromium } = require('playwright-core');

const { folder, run } = require('../support/command');
const { Timeline, example, talking } = require('../support/timeline');
const { installed } = require('./support');

const executablePath = installed() ?? undefined;
const skip = executablePath === undefined && 'there is no Chromium or Chrome here';

describe('the page of a timeline', { skip }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  before(async () => {
    // Its sandbox is not to be had as root, or in a container.
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  after(() => browser?.close());

  /**
   * @param {import('node:test').TestContext} t @param {Timeline} timeline
   * @param {{ colorScheme?: 'light' | 'dark', width?: number }} [options]
   */
  async function open(t, timeline, { width = 1300 } = {}) {
    const at = folder(t);
    const { code, stderr } = await run(['trace', at('t.json', timeline.json)]);
    assert.equal(code, 0, stderr);
    const page = await browser.newPage({ viewport: { width, height: 700 } });
    t.after(() => page.close());
    /** @type {string[]} */
    const problems = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('request', (request) => !request.url().startsWith('file:') && problems.push(`asks for ${request.url()}`));
    t.after(() => assert.deepEqual(problems, []));
    await page.goto(String(pathToFileURL(at('t.html'))));
    await page.waitForSelector('svg[data-zoom]');
    return { page, at, shot: (/** @type {string} */ name) => screenshot(page, name) };
  }

  /** @param {import('playwright-core').Page} page @param {string} name */
  async function screenshot(page, name) {
    const where = process.env.SCREENSHOTS;
    if (where !== undefined) await page.screenshot({ path: path.join(where, `${name}.png`) });
  }

  const zoomOf = (page) => page.$eval('svg.timeline', (/** @type {any} */ svg) => Number(svg.dataset.zoom));
  const boxOf = async (page, selector) => (await (await page.$(selector)).boundingBox());
  const centre = ({ x, y, width, height }) => [x + width / 2, y + height / 2];
  const settled = (page, test, argument) => page.waitForFunction(test, argument);

  test('a lane per worker, each chunk in its place', async (t) => {
    const { page, shot } = await open(t, example());
    const labels = await page.$$eval('.labels text', (texts) => texts.map(({ textContent }) => textContent));
    assert.deepEqual(labels, ['Pool of orders', 'caller', 'worker 0', 'worker 1']);
    assert.equal(await page.locator('rect.chunk').count(), 9);
    assert.equal(await page.locator('rect.chunk.critical').count(), 8);
    assert.equal(await page.locator('polyline.path').count(), 1);
    assert.ok((await page.locator('rect.gap').count()) >= 1);
    assert.equal(await page.locator('path.mark.death').count(), 1);
    const [first, last] = [await boxOf(page, 'rect.chunk'), await page.locator('rect.chunk').nth(7).boundingBox()];
    assert.ok(first.x < last.x && first.y === last.y, 'one after another on the same lane');
    assert.match(await page.textContent('table'), /critical path9 steps in 99.3 ms/);
    await shot('whole');
  });

  test('pointing at a chunk shows what it was, and at a gap how long it lasted', async (t) => {
    const { page, shot } = await open(t, example());
    const hint = page.locator('#hint');
    assert.equal(await hint.isVisible(), false);
    await page.mouse.move(...centre(await boxOf(page, 'rect.chunk')));
    await hint.waitFor();
    const text = await hint.textContent();
    for (const part of ['sizeOf: 9.9 ms', '5 calls, from number 0 on', 'of map', '1,234 bytes', 'run r1', 'on the critical path']) {
      assert.ok(text.includes(part), text);
    }
    await shot('hint');
    await page.mouse.move(...centre(await page.locator('rect.gap').last().boundingBox()));
    await settled(page, () => document.getElementById('hint').textContent.startsWith('idle for'));
    await page.mouse.move(...centre(await boxOf(page, 'path.mark.death')));
    await settled(page, () => document.getElementById('hint').textContent.includes('signal: SIGKILL'));
    await page.mouse.move(5, 5);
    await hint.waitFor({ state: 'hidden' });
  });

  test('messages and what is yielded can be pointed at, within their calls', async (t) => {
    const { page, shot } = await open(t, talking());
    const [call] = [await boxOf(page, 'rect.chunk')];
    for (const burst of await page.locator('rect.yield').all()) {
      const box = await burst.boundingBox();
      assert.ok(call.x <= box.x + 1 && box.x + box.width <= call.x + call.width + 1 && box.y > call.y, JSON.stringify(box));
    }
    await page.mouse.move(...centre(await page.locator('rect.yield').nth(1).boundingBox()));
    await settled(page, () => document.getElementById('hint').textContent.startsWith('yielded 16 values, from number 16 on'));
    await shot('talking');
    await page.mouse.move(...centre(await page.locator('path.mark.message').nth(2).boundingBox()));
    await settled(page, () => document.getElementById('hint').textContent.startsWith('message at 50 ms'));
  });

  test('the wheel zooms about the pointer, and a drag moves', async (t) => {
    const { page, shot } = await open(t, example());
    const box = await page.locator('rect.chunk').nth(4).boundingBox();
    const [x, y] = centre(box);
    await page.mouse.move(x, y);
    for (let i = 0; i < 5; i++) await page.mouse.wheel(0, -300);
    await settled(page, () => Number(document.querySelector('svg.timeline').dataset.zoom) > 20);
    await shot('zoomed');
    const zoomed = await page.locator('rect.chunk').nth(4).boundingBox();
    assert.ok(zoomed.width > 20 * box.width);
    assert.ok(Math.abs(centre(zoomed)[0] - x) < 2 + zoomed.width / 100, 'what the pointer is at stays there');
    const [labelX, labelY] = centre(await page.locator('.labels text').nth(2).boundingBox());
    const covering = await page.evaluate(([left, top]) => document.elementFromPoint(left, top).closest('.time'), [labelX, labelY]);
    assert.equal(covering, null, 'the names of the lanes stay free');
    const ticks = await page.$$eval('.axis text', (texts) => texts.map(({ textContent }) => textContent));
    assert.ok(ticks.length >= 3 && ticks.every((text) => /^[\d.]+ (µs|ms)$/.test(text)), ticks.join());
    await page.mouse.down();
    await page.mouse.move(x + 100, y, { steps: 4 });
    await page.mouse.up();
    await settled(page, (before) => document.querySelectorAll('rect.chunk')[4].getBoundingClientRect().x > before + 90, zoomed.x);
    await page.mouse.dblclick(x, y);
    await settled(page, () => document.querySelector('svg.timeline').dataset.zoom === '1');
    const again = await page.locator('rect.chunk').nth(4).boundingBox();
    assert.ok(Math.abs(again.x - box.x) < 1 && Math.abs(again.width - box.width) < 1);
  });

  test('buttons and keys do the same, and never show more than there is', async (t) => {
    const { page } = await open(t, example(), { width: 800 });
    await page.click('#in');
    await settled(page, () => Number(document.querySelector('svg.timeline').dataset.zoom) > 1.4);
    await page.keyboard.press('+');
    await settled(page, () => Number(document.querySelector('svg.timeline').dataset.zoom) > 2.2);
    await page.keyboard.press('ArrowRight');
    for (let i = 0; i < 8; i++) await page.keyboard.press('-');
    await settled(page, () => document.querySelector('svg.timeline').dataset.zoom === '1');
    assert.equal(await page.getAttribute('g.time', 'transform'), 'matrix(1 0 0 1 0 0)');
    await page.click('#out');
    assert.equal(await zoomOf(page), 1);
    await page.click('#in');
    await page.click('#whole');
    await settled(page, () => document.querySelector('svg.timeline').dataset.zoom === '1');
  });

  test('many chunks, and names with markup in them, are drawn as they are', async (t) => {
    const timeline = new Timeline(8).run(0, 2_000_000);
    for (let i = 0; i < 16_000; i++) {
      const at = (i >> 3) * 1000;
      timeline.chunk(i % 8, at, at + 900, { submitted: 0, name: `<img src=x onerror=alert(1)> ${i % 3}` });
    }
    const { page, shot } = await open(t, timeline);
    assert.equal(await page.locator('rect.chunk').count(), 16_000);
    assert.equal(await page.locator('img').count(), 0);
    await page.mouse.move(...centre(await page.locator('rect.chunk').nth(8000).boundingBox()));
    for (let i = 0; i < 10; i++) await page.mouse.wheel(0, -300);
    await settled(page, () => Number(document.querySelector('svg.timeline').dataset.zoom) > 500);
    await shot('many');
  });

  test('the SVG stands for itself', async (t) => {
    const { page, at } = await open(t, example());
    await page.goto(String(pathToFileURL(at('t.svg'))));
    assert.equal(await page.locator('rect.chunk').count(), 9);
    assert.equal(await page.locator('rect.chunk title').first().textContent().then((text) => text.split('\n')[0]), 'sizeOf: 9.9 ms');
    await screenshot(page, 'svg');
  });
});
