'use strict';
// What a pool can run: functions of modules, and functions that are sent as their source.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');

const { Pool } = require('@parallelizer/node');
const { fixture, temporary, within } = require('./support/helpers');
const { forEachMode } = require('./support/modes');
const { brief, gateIn, list, makePool, range, task } = require('./support/pool');

const inModules = (name) => fixture(`modules/${name}`);

/** A function made from this source. */
const fromText = (text) => vm.runInThisContext(`(${text})`);

/** A module with this text, in a directory of its own. */
function moduleIn(t, text, name = 'tasks.js') {
  const file = path.join(temporary(t), name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

/** An option error that names `task` and says this. */
const refusal = (says, name = 'task') => (error) => {
  assert.equal(error.code, 'ERR_PARALLELIZER_OPTION');
  assert.ok(error.message.startsWith(`option "${name}`), error.message);
  assert.match(error.message, says);
  return true;
};

forEachMode((mode) => {
  const on = (t, options) => makePool(t, mode, options);

  describe('a function of a module', () => {
    test('by path, by URL, and relative to the working directory', async (t) => {
      const pool = on(t);
      const file = fixture('pool-tasks.js');
      const relative = path.relative(process.cwd(), file);
      const url = pathToFileURL(file);
      const references = [
        { filePath: file, name: 'double' },
        { filePath: relative, name: 'double' },
        { filePath: `./${relative}`, name: 'double' },
        { filePath: url, name: 'double' },
        { filePath: url.href, name: 'double' },
        `${file}#double`,
        `${relative}#double`,
        `./${relative}#double`,
        `${url.href}#double`,
      ];
      for (const [i, reference] of references.entries()) {
        assert.equal(await within(pool.apply(reference, [i]), JSON.stringify(reference)), 2 * i);
        assert.deepEqual(await pool.map(reference, [i, i + 1]), [2 * i, 2 * i + 2]);
      }
    });

    test('in a path with spaces, a # and letters beyond ASCII', async (t) => {
      const pool = on(t);
      const file = moduleIn(
        t,
        "exports.name = () => require('node:path').basename(__dirname);",
        'a b#c %41 é漢/tasks.js',
      );
      for (const reference of [
        `${file}#name`,
        `${pathToFileURL(file).href}#name`,
        { filePath: pathToFileURL(file), name: 'name' },
      ]) {
        assert.equal(await pool.apply(reference), 'a b#c %41 é漢');
      }
    });

    test('relative paths are resolved at the call', async (t) => {
      const pool = on(t);
      await pool.ready();
      const [one, two] = [1, 2].map((value) => path.dirname(moduleIn(t, `exports.value = () => ${value};`)));
      const before = process.cwd();
      t.after(() => process.chdir(before));
      const values = [];
      for (const directory of [one, two, one]) {
        process.chdir(directory);
        values.push(pool.apply('tasks.js#value'));
      }
      process.chdir(before);
      assert.deepEqual(await Promise.all(values), [1, 2, 1]);
    });

    test('a reference is read anew by each call', async (t) => {
      const pool = on(t);
      const reference = task('double');
      assert.equal(await pool.apply(reference, [3]), 6);
      reference.name = 'dieIf';
      assert.equal(await pool.apply(reference, [3]), 3);
      await assert.rejects(pool.apply({ ...reference, args: [] }, [3]), refusal(/is not known/, 'task.args'));
      assert.equal(await pool.apply({ name: 'dieIf', filePath: reference.filePath }, [4]), 4);
      assert.equal(await pool.apply(Object.assign(Object.create(null), reference), [5]), 5);
      await assert.rejects(pool.apply(Object.assign([], reference), [5]), refusal(/./));
    });

    test('a reference that changes while it is read leads nobody else to another function', async (t) => {
      const pool = on(t);
      const { filePath } = task('double');
      let reads = 0;
      const unstable = { filePath, get name() { return reads++ % 2 === 0 ? 'double' : 'dieIf'; } };
      for (let i = 0; i < 6; i++) await pool.apply(unstable, [1]);
      assert.deepEqual([await pool.apply(task('double'), [3]), await pool.apply(task('dieIf'), [3])], [6, 3]);
    });

    test('CommonJS and ES modules, named and default exports', async (t) => {
      const pool = on(t);
      const call = (file, name) => pool.apply({ filePath: inModules(file), name }, [{ batch: 7 }]);
      assert.deepEqual(await call('named.cjs', 'act'), ['named.cjs', 7]);
      assert.deepEqual(await call('default.js', 'default'), ['the module itself', 7]);
      assert.deepEqual(await call('default-property.js', 'default'), ['exports.default', 7]);
      assert.deepEqual(await call('named.mjs', 'act'), ['named.mjs', 7]);
      assert.deepEqual(await call('named.mjs', 'default'), ['default', 7]);
      assert.deepEqual(await call('awaits.mjs', 'act'), ['awaited', 7]);
      const esm = moduleIn(t, 'export const half = (x) => x / 2;', 'esm/tasks.js');
      fs.writeFileSync(path.join(path.dirname(esm), 'package.json'), '{"type":"module"}');
      assert.equal(await pool.apply(`${esm}#half`, [8]), 4);
    });

    test('is loaded once per worker and keeps its state there', async (t) => {
      const file = moduleIn(t, 'let calls = 0; exports.count = () => ++calls; exports.calls = () => calls;');
      const pool = on(t, { processes: 1 });
      assert.deepEqual(await pool.map(`${file}#count`, range(5)), [1, 2, 3, 4, 5]);
      assert.equal(await pool.apply(`${file}#calls`), 5, 'the same module, by another name');
    });

    test('gets the item alone, or the arguments', async (t) => {
      const pool = on(t);
      assert.deepEqual(await pool.map(task('received'), ['a', undefined, [1, 2]]), [['a'], [undefined], [[1, 2]]]);
      assert.deepEqual(await pool.starmap(task('received'), [[], [1], [1, 2], [[1, 2]]]), [[], [1], [1, 2], [[1, 2]]]);
      assert.deepEqual(await pool.apply(task('received')), []);
      assert.deepEqual(await pool.apply(task('received'), [1, undefined]), [1, undefined]);
    });
  });

  describe('a function that is sent as its source', () => {
    const shapes = {
      'an arrow': [(x) => x + 1, [1], 2],
      'an arrow without brackets': [fromText('x => x + 1'), [1], 2],
      'an arrow that gives an object': [(x) => ({ x }), [1], { x: 1 }],
      'an async arrow': [async (x) => (await x) + 1, [1], 2],
      'an async arrow without brackets': [fromText('async x => (await x) + 1'), [1], 2],
      'a function': [function (x) { return x + 1; }, [1], 2],
      'an async function': [async function (x) { return (await x) + 1; }, [1], 2],
      'a function that calls itself': [function factorial(n) { return n < 2 ? 1 : n * factorial(n - 1); }, [5], 120],
      'default parameters': [(a, b = a * 2, { c = b + 1 } = {}) => [a, b, c], [1], [1, 2, 3]],
      'rest parameters': [(first, ...rest) => [first, rest], [1, 2, 3], [1, [2, 3]]],
      'destructured parameters': [([a, [b]], { c: { d } }) => [a, b, d], [[1, [2]], { c: { d: 3 } }], [1, 2, 3]],
      '`arguments`': [
        function () {
          return arguments.length;
        },
        [1, 2, 3],
        3,
      ],
      'letters beyond ASCII': [
        fromText('(größe) => { const 漢 = "🎈\u2028"; return 漢 + größe + \'ÿ\'; }'),
        ['é'],
        '🎈\u2028éÿ',
      ],
      'comments': [
        fromText('function /* a } */ commented /* ( */ (x /* , y */) /* { */ { // ) }\n  return x; // the end\n}'),
        [1],
        1,
      ],
      'a comment at the end': [fromText('(x) => [x // not closed ]\n]'), [1], [1]],
      'quotes, templates and regular expressions': [(x) => `\${"${x}"}`.replace(/["'`\\/]/g, "'"), [1], "${'1'}"],
      'words that look like something else': [
        () => '{ [native code] }class function* ',
        [],
        '{ [native code] }class function* ',
      ],
      'a text with "use strict"': [fromText('function (x) { "use strict"; return x; }'), [1], 1],
      'a property named `function`': [{ function(x) { return x; } }.function, [1], 1],
    };

    describe('of any shape', () => {
      let pool;
      before(() => (pool = new Pool(1, { type: mode.type })));
      after(() => pool.terminate());

      for (const [name, [fn, args, expected]] of Object.entries(shapes)) {
        test(name, async () => {
          assert.deepEqual(await within(pool.apply(fn, args), 'apply'), expected);
          assert.deepEqual(await pool.starmap(fn, [args, args]), [expected, expected]);
        });
      }
    });

    test('what it says about itself in other ways does not matter', async (t) => {
      const fn = Object.defineProperties((x) => x, {
        toString: { value: () => '() => "another"' },
        name: { value: 'another' },
      });
      assert.equal(await on(t).apply(fn, [1]), 1);
    });

    test('is evaluated in strict mode; `this` has the signal', async (t) => {
      const pool = on(t);
      const assigns = fromText('() => { undeclared = 1; }');
      await assert.rejects(pool.apply(assigns), { name: 'ReferenceError' });
      assert.equal(await pool.apply(function () { return this.signal.aborted; }), false);
      assert.equal(await pool.apply(fromText('() => typeof this')), 'undefined');
    });

    test('sees globals, and a require and an import from the working directory', async (t) => {
      const before = process.cwd();
      t.after(() => process.chdir(before));
      process.chdir(path.dirname(moduleIn(t, "exports.value = 'from there';", 'neighbour.js')));
      const pool = on(t);
      await pool.ready();
      assert.equal(await pool.apply(() => require('./neighbour').value), 'from there');
      assert.equal(await pool.apply(() => require('node:path').posix.sep), '/');
      assert.equal(await pool.apply(async () => (await import('node:path')).posix.sep), '/');
      assert.deepEqual(await pool.apply(() => [typeof Buffer, typeof fetch, typeof setTimeout]), [
        'function',
        'function',
        'function',
      ]);
    });

    test('sees nothing of the code that evaluates it', async (t) => {
      const seen = await on(t).apply(() => [
        typeof module,
        typeof exports,
        typeof __filename,
        typeof fs,
        typeof SCRIPT,
      ]);
      assert.deepEqual(seen, Array(5).fill('undefined'));
    });

    test('does not see the variables around it, and the error explains that', async (t) => {
      const pool = on(t);
      const outside = 1;
      const tellsWhy = (error) => {
        assert.equal(error.name, 'ReferenceError');
        assert.ok(error instanceof ReferenceError);
        assert.match(error.message, /outside is not defined/);
        assert.match(error.message, /closure/);
        assert.match(error.stack, /closure/);
        return true;
      };
      await assert.rejects(pool.apply(() => outside), tellsWhy);
      await assert.rejects(pool.apply(async () => outside), tellsWhy);
      await assert.rejects(pool.apply(async () => { await null; return outside; }), tellsWhy);
      await assert.rejects(pool.apply(() => [1].map(() => outside)), tellsWhy);
      await assert.rejects(pool.map((x) => x + outside, [1, 2]), tellsWhy);
      await assert.rejects(list(pool.imap((x) => x + outside, [1, 2])), tellsWhy);
      assert.deepEqual(
        brief(await pool.map((x) => (x === 1 ? outside : x), [0, 1, 2], { onError: 'collect' })).map(
          (one) => typeof one,
        ),
        ['number', 'object', 'number'],
      );
    });

    test('other ReferenceErrors are left as they are', async (t) => {
      const pool = on(t);
      const untouched = (error) => error instanceof ReferenceError && !/closure/.test(error.message);
      await assert.rejects(pool.apply(fromText('() => { early; const early = 1; }')), untouched);
      await assert.rejects(
        pool.apply(() => {
          throw new ReferenceError('mine');
        }),
        { name: 'ReferenceError', message: 'mine' },
      );
      const file = moduleIn(t, 'exports.fails = () => missing;');
      await assert.rejects(
        pool.apply(`${file}#fails`),
        (error) => untouched(error) && /missing is not defined/.test(error.message),
      );
    });

    test('is sent once to each worker', async (t) => {
      const size = 300_000;
      const text = `(x) => { /* ${'x'.repeat(size)} */ return x; }`;
      for (const processes of [1, 2]) {
        const pool = on(t, { processes });
        await pool.ready();
        const before = pool.stats().bytesSent;
        for (let i = 0; i < 10; i++)
          assert.equal(await pool.apply(fromText(text), [i]), i, 'each time another function with that text');
        assert.deepEqual(await pool.map(fromText(text), range(100)), range(100));
        assert.deepEqual(await list(pool.imap(fromText(text), range(20))), range(20));
        const sent = pool.stats().bytesSent - before;
        assert.ok(sent >= size && sent < processes * size + 100_000, `${sent} bytes for ${processes} workers`);
      }
    });

    test('is evaluated once in each worker', async (t) => {
      const pool = on(t, { processes: 1 });
      const counter = function own() {
        own.calls = (own.calls ?? 0) + 1;
        return own.calls;
      };
      for (let i = 1; i <= 3; i++) assert.equal(await pool.apply(counter), i);
      assert.deepEqual(await pool.map(counter, range(3)), [4, 5, 6]);
    });

    test('more different functions than a worker keeps, in sequence and all at once', async (t) => {
      const pool = on(t);
      const tasks = range(600).map((i) => fromText(`(x) => x * 1000 + ${i}`));
      const expected = (x) => range(600).map((i) => x * 1000 + i);
      const round = (x) => Promise.all(tasks.map((one) => pool.apply(one, [x])));
      assert.deepEqual(await within(round(1), 'all at once'), expected(1));
      assert.deepEqual(await within(round(2), 'again'), expected(2));
      const maps = await within(
        Promise.all([round(3), ...tasks.slice(0, 300).map((one) => pool.map(one, [4, 5]))]),
        'maps among them',
      );
      assert.deepEqual(maps[0], expected(3));
      assert.deepEqual(maps.slice(1), range(300).map((i) => [4000 + i, 5000 + i]));
      const each = [];
      for (const one of tasks.slice(0, 300)) each.push(await pool.apply(one, [6]));
      assert.deepEqual(each, expected(6).slice(0, 300));
    });

    test('a function that is forgotten while it runs ends normally, and can be called again', async (t) => {
      const pool = on(t, { processes: 1, concurrency: 2 });
      const gate = gateIn(t);
      const waits = async function waiting(file) {
        const fs = require('node:fs');
        fs.writeFileSync(`${file}.started`, '');
        while (!fs.existsSync(`${file}.go`)) await new Promise((resolve) => setTimeout(resolve, 5));
        return waiting.name;
      };
      const held = pool.apply(waits, [gate.file]);
      await gate.started();
      for (const i of range(300)) assert.equal(await within(pool.apply(fromText(`() => ${i}`)), `task ${i}`), i);
      gate.open();
      assert.equal(await within(held, 'the one that was held'), 'waiting');
      assert.equal(await within(pool.apply(waits, [gate.file]), 'the same again'), 'waiting');
    });

    test('is defined at its second call if its first one could not be sent', async (t) => {
      const pool = on(t, { processes: 1 });
      const kind = (value) => typeof value;
      await assert.rejects(pool.apply(kind, [() => {}]), { code: 'ERR_PARALLELIZER_SERIALIZATION' });
      assert.equal(await within(pool.apply(kind, [1]), 'the second call'), 'number');
    });
  });

  describe('refused', () => {
    class Example {
      method(x) { return x; }
      async asynchronous(x) { return x; }
      static fixed() {}
      *generator() {}
    }
    const object = {
      method(x) { return x; },
      async asynchronous(x) { return x; },
      ['com' + 'puted'](x) { return x; },
      async(x) { return x; },
      get(x) { return x; },
      async *generator() {},
    };
    const accessor = Object.getOwnPropertyDescriptor({ get value() { return 1; } }, 'value').get;

    const functions = [
      ['native functions', /native/, [parseInt, Math.max, [].map, Promise.resolve]],
      ['bound functions', /bound/, [((x) => x).bind(null), object.method.bind(object)]],
      ['a Proxy', /native|function/, [new Proxy((x) => x, {})]],
      ['classes', /class/, [Example, class {}, class extends Example {}]],
      [
        'generator functions', /generator/,
        [
          function* () {},
          async function* () {},
          fromText('function*named(){}'),
          object.generator,
          new Example().generator,
        ],
      ],
      [
        'generator functions with comments in odd places', /generator/,
        [fromText('function /* a */ * commented() {}'), fromText('async /* a */ function /* b */ * commented() {}')],
      ],
      [
        'methods, accessors and what is not strict', /arrow function|\{ filePath, name \}/,
        [
          object.method, object.asynchronous, object.computed, object.async, object.get, accessor, new Example().method,
          new Example().asynchronous, Example.fixed, new Function('x', 'with (x) return y'), new Function('return 010'),
        ],
      ],
    ];
    for (const [name, says, list] of functions) {
      test(name, async (t) => {
        const pool = on(t, { processes: 1 });
        for (const one of list) {
          await assert.rejects(pool.apply(one), refusal(says), String(one));
          await assert.rejects(pool.map(one, [1]), refusal(says));
          await assert.rejects(pool.starmap(one, [[1]]), refusal(says));
          for (const submit of ['applyAsync', 'mapAsync', 'starmapAsync', 'imap', 'imapUnordered']) {
            assert.throws(() => pool[submit](one, []), refusal(says), submit);
          }
          assert.throws(
            () => new Pool({ type: mode.type, processes: 1, initializer: one }),
            refusal(says, 'initializer'),
          );
        }
        assert.equal(await pool.apply((x) => x, [1]), 1);
      });
    }

    test('what is not a task', async (t) => {
      const pool = on(t, { processes: 1 });
      const none = [
        undefined,
        null,
        0,
        1n,
        true,
        Symbol('task'),
        '',
        'tasks.js',
        '#name',
        'tasks.js#',
        [],
        {},
        [() => {}],
        { name: 'a' },
        { filePath: 'tasks.js' },
        { filePath: 'tasks.js', name: '' },
        { filePath: 'tasks.js', name: 5 },
        { filePath: 5, name: 'a' },
        { filePath: '', name: 'a' },
        { filePath: 'https://example.com/tasks.js', name: 'a' },
        new URL('file:///tasks.js'),
        { filePath: 'tasks.js', name: 'a', args: [] },
      ];
      for (const one of none) {
        await assert.rejects(pool.apply(one), refusal(/./));
        await assert.rejects(pool.map(one, []), refusal(/./), 'even where there is nothing to do');
        assert.throws(() => pool.imap(one, []), refusal(/./));
      }
      await assert.rejects(pool.apply({ filePath: 'a', name: 'b', function: 'c' }), refusal(/function/));
    });
  });

  describe('a module that cannot be used', () => {
    const broken = [
      ['there is no such file', fixture('no-such-file.js'), 'act', /no-such-file/],
      ['it throws', inModules('throws-text.js'), 'act', /text thrown at load/],
      ['what it needs is missing', inModules('missing-dependency.js'), 'act', /no-such-package-anywhere/],
      ['it rejects', inModules('rejects.mjs'), 'act', /rejected at load/],
      ['it has no such function', inModules('not-functions.js'), 'noSuchName', /noSuchName.*works/],
      ['it exports nothing', inModules('empty.js'), 'act', /exports nothing/],
      ['it is no function', inModules('not-functions.js'), 'number', /not a function/],
    ];
    const unusable = (says) => (error) => {
      assert.equal(error.code, 'ERR_PARALLELIZER_MODULE');
      assert.match(error.message, says);
      return true;
    };

    test('fails its own calls, others go on', async (t) => {
      const pool = on(t);
      const calls = broken.flatMap(([, filePath, name, says], i) => [
        assert.rejects(pool.apply({ filePath, name }, [1]), unusable(says)),
        pool.apply(task('double'), [i]).then((value) => assert.equal(value, 2 * i)),
        assert.rejects(pool.map({ filePath, name }, [1, 2, 3]), unusable(says)),
        pool.map((x) => x + 1, [i]).then((values) => assert.deepEqual(values, [i + 1])),
        assert.rejects(list(pool.imap({ filePath, name }, [1, 2, 3])), unusable(says)),
        pool.map({ filePath, name }, [1, 2], { onError: 'collect' }).then((all) =>
          assert.deepEqual(brief(all).map(([code]) => code), Array(2).fill('ERR_PARALLELIZER_MODULE'))),
      ]);
      await within(Promise.all(calls), 'all calls');
      assert.equal(pool.stats().restarts, 0, 'no worker was lost by it');
    });

    for (const [name, filePath, exported, says] of broken.slice(1, 4)) {
      test(`${name}: its own error is the cause`, async (t) => {
        const error = await on(t).apply({ filePath, name: exported }).then(() => null, (reason) => reason);
        assert.match(String(error.cause?.message ?? error.cause), says);
      });
    }

    test('is tried again by the next call', async (t) => {
      const flag = path.join(temporary(t), 'flag');
      const file = moduleIn(
        t,
        `if (!require('node:fs').existsSync(${JSON.stringify(flag)})) throw new Error('not yet'); exports.act = () => 'now';`,
      );
      const pool = on(t, { processes: 1 });
      await assert.rejects(pool.apply(`${file}#act`), unusable(/not yet/));
      await assert.rejects(pool.apply(`${file}#act`), unusable(/not yet/));
      fs.writeFileSync(flag, '');
      assert.equal(await pool.apply(`${file}#act`), 'now');
    });
  });

  test('calls that are answered together each get a value of their own', async (t) => {
    const pool = on(t);
    const tasks = [(x) => ({ value: x }), (x) => ({ value: -x }), () => ({ value: 'same' })];
    const calls = range(600).map((i) => pool.apply(tasks[i % 3], [i]));
    const results = await within(Promise.all(calls), 'calls of three tasks in turn');
    assert.deepEqual(results.map(({ value }) => value), range(600).map((i) => [i, -i, 'same'][i % 3]));
    assert.equal(new Set(results).size, 600);
  });

  test('and so do those beside calls that were aborted, or have failed', async (t) => {
    const pool = on(t);
    const controller = new AbortController();
    const fail = (x) => {
      throw new RangeError(`bad ${x}`);
    };
    const same = () => [{}];
    const calls = range(600).map((i) => pool.apply(i % 5 === 4 ? fail : same, [i], i % 3 ? {} : { signal: controller.signal }));
    const settled = Promise.allSettled(calls);
    await calls[1];
    controller.abort();
    const outcomes = await within(settled, 'all calls');
    const lists = outcomes.flatMap(({ value }) => value ?? []);
    assert.equal(new Set(lists).size, lists.length, 'no value is handed out twice');
    outcomes.forEach(({ status, value, reason }, i) => {
      if (i % 3 === 0 && reason?.code === 'ERR_PARALLELIZER_ABORTED') return;
      if (i % 5 === 4) assert.equal(reason?.message, `bad ${i}`);
      else assert.deepEqual([status, value], ['fulfilled', [{}]]);
    });
  });

  test('two pools, each with its own tasks', async (t) => {
    const pools = [on(t), on(t)];
    const calls = range(40).flatMap((i) => {
      const text = (pool) => fromText(`(x) => ['${'ab'[pool]}', ${i}, x]`);
      return [0, 1].flatMap((pool) => [
        pools[pool].apply(text(pool), [i]).then((value) => assert.deepEqual(value, ['ab'[pool], i, i])),
        pools[pool].map(text(pool), [1, 2]).then((values) =>
          assert.deepEqual(values, [
            ['ab'[pool], i, 1],
            ['ab'[pool], i, 2],
          ]),
        ),
      ]);
    });
    await within(Promise.all(calls), 'the calls of both');
  });

  test('one task on two pools', async (t) => {
    const fn = (x) => x * 3;
    const [one, two] = [on(t), on(t)];
    await one.apply((x) => x, [1]); // Otherwise both would give it the same number.
    assert.deepEqual(
      await Promise.all([
        one.map(fn, [1, 2]),
        two.map(fn, [3]),
        one.apply(task('double'), [4]),
        two.apply(task('double'), [5]),
      ]),
      [[3, 6], [9], 8, 10],
    );
  });
});

forEachMode(
  (mode) => {
    const on = (t, options) => makePool(t, mode, options);

    test('a new worker is sent the function again', async (t) => {
      const pool = on(t, { processes: 1 });
      const fn = (x) => (x < 0 ? process.exit(-x) : x);
      assert.equal(await pool.apply(fn, [1]), 1);
      await assert.rejects(within(pool.apply(fn, [-3]), 'the death'), { code: 'ERR_PARALLELIZER_WORKER_EXITED' });
      assert.equal(await within(pool.apply(fn, [2]), 'the next'), 2);
      assert.equal(await pool.apply(task('double'), [2]), 4);
    });

    test('a module that exits while it loads fails its own calls', async (t) => {
      const pool = on(t, { stdio: 'ignore' });
      const exits = { filePath: inModules('exits-at-load.js'), name: 'act' };
      await within(
        Promise.all([
          assert.rejects(pool.apply(exits), { code: 'ERR_PARALLELIZER_WORKER_EXITED', exitCode: 5 }),
          pool.map(task('double'), range(20)).then((values) => assert.deepEqual(values, range(20).map((x) => 2 * x))),
          assert.rejects(pool.map(exits, [1]), { code: 'ERR_PARALLELIZER_WORKER_EXITED', exitCode: 5 }),
        ]),
        'all calls',
      );
    });

    test('a module that never finishes loading is left to the timeout', async (t) => {
      const pool = on(t, { processes: 1, gracePeriod: 50 });
      const never = { filePath: inModules('never.mjs'), name: 'act' };
      const held = assert.rejects(pool.apply(never, [], { timeout: 200 }), { code: 'ERR_PARALLELIZER_TIMEOUT' });
      const next = pool.apply(task('double'), [4]);
      await within(held, 'the timeout');
      assert.equal(await within(next, 'the call behind it'), 8);
    });
  },
  { needs: ['hasWorkers'] },
);

