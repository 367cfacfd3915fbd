'use strict';
// Loggers and metrics in workers: what they write comes out as it does where the handler itself uses them. In a plain
// process with forwarded output, and under AWS's own runtime client; with text and with JSON logs.

const assert = require('node:assert/strict');

const { waitFor } = require('../support/helpers');
const { clientFor } = require('../lambda/support/runtime-clients');
const { startEnvironment } = require('../lambda/support/environment');
const { ecosystemTest, project, succeed } = require('./support/projects');

/** How each of them logs a line with a marker in it; evaluated in the handler and in workers. */
const LOGGERS = {
  pino: "const logger = require('pino')(); return (marker) => logger.info({ marker }, 'a line');",
  'pino, asynchronous':
    "const pino = require('pino'); const to = pino.destination({ dest: 1, sync: false }); const logger = pino(to); " +
    'return (marker) => { logger.info({ marker }, \'a line\'); to.flushSync(); };',
  'pino on process.stdout': "const logger = require('pino')(process.stdout); return (marker) => logger.warn({ marker }, 'a line');",
  winston:
    "const winston = require('winston'); const logger = winston.createLogger({ format: winston.format.json(), transports: [new winston.transports.Console()] }); " +
    "return (marker) => logger.info('a line', { marker });",
  'winston by console.log':
    "const winston = require('winston'); const logger = winston.createLogger({ format: winston.format.json(), transports: [new winston.transports.Console({ forceConsole: true })] }); " +
    "return (marker) => logger.info('a line', { marker });",
  bunyan: "const logger = require('bunyan').createLogger({ name: 'project' }); return (marker) => logger.info({ marker }, 'a line');",
  'Powertools Logger':
    "const { Logger } = require('@aws-lambda-powertools/logger'); const logger = new Logger({ serviceName: 'project', logLevel: 'DEBUG' }); " +
    "return (marker) => { for (const level of ['debug', 'info', 'warn', 'error']) logger[level]('a line at ' + level, { marker }); };",
  'Powertools Metrics':
    "const { Metrics, MetricUnit } = require('@aws-lambda-powertools/metrics'); const metrics = new Metrics({ namespace: 'project', serviceName: 'project' }); " +
    "return (marker) => { metrics.addMetadata('marker', marker); metrics.addMetric('done', MetricUnit.Count, 1); metrics.publishStoredMetrics(); };",
  'Powertools Tracer':
    "const { Tracer } = require('@aws-lambda-powertools/tracer'); const tracer = new Tracer({ serviceName: 'project', enabled: false }); " +
    "return (marker) => { tracer.putAnnotation('marker', marker); console.log(JSON.stringify({ marker, traced: tracer.isTracingEnabled() })); };",
  'aws-embedded-metrics':
    "const { createMetricsLogger } = require('aws-embedded-metrics'); " +
    "return async (marker) => { const metrics = createMetricsLogger(); metrics.setProperty('marker', marker); metrics.putMetric('done', 1, 'Count'); await metrics.flush(); };",
  'console.log of JSON': "return (marker) => console.log(JSON.stringify({ marker, msg: 'a line' }));",
  'console.error of an error': "return (marker) => console.error(Object.assign(new Error('MARK ' + marker), { stack: 'Error: MARK ' + marker + '\\n    at one\\n    at two' }));",
};

/** How many lines of one logger bear the marker, where it is more than one. */
const LINES = { 'Powertools Logger': 4 };

const HANDLER = 'marked-in-the-handler';
const WORKER = 'marked-in-a-worker';

const FILES = {
  'log.js': `const made = {};
const makers = {
${Object.entries(LOGGERS).map(([name, body]) => `  ${JSON.stringify(name)}: () => { ${body} },`).join('\n')}
};
// Each is loaded when it is first used: one that does not load harms no other.
module.exports = (name, marker) => (made[name] ??= makers[name]())(marker + ' ' + name + '.');
`,
  'worker.js': `const log = require('./log.js');
exports.record = ({ record }) => log(record.json.name, '${WORKER}');
exports.batch = async ({ batch: [name] }) => { await log(name, '${WORKER}'); };
`,
};

/** The lines that a logger wrote at a place, without what differs from one writing to the next. */
function linesOf(output, place, name) {
  const marker = `${place} ${name}.`;
  return output.split('\n').filter((line) => line.includes(marker)).map((line) =>
    line
      .replaceAll(marker, 'MARKER')
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
      .replace(/"(pid|time|timestamp|Timestamp|child_id|sampling_rate)":\d+/g, '"$1":0'));
}

/**
 * Whatever a logger writes in a worker, it writes in the handler in the same form. Compared without order: a worker's
 * stdout and stderr are two pipes, and nothing says which of two lines in different pipes was written first.
 */
async function compare(t, output) {
  for (const name of Object.keys(LOGGERS)) {
    await t.test(name, () => {
      const expected = linesOf(output, HANDLER, name).sort();
      assert.deepEqual(linesOf(output, WORKER, name).sort(), expected);
      assert.ok(expected.length > 0, output);
    });
  }
}

for (const type of ['child-process', 'worker-threads']) {
  for (const format of ['Text', 'JSON']) {
    ecosystemTest(`a plain process, ${type}, ${format} logs`, ['loggers'], async (t) => {
      const folder = project(t, 'loggers', {
        ...FILES,
        'program.js': `
          const { Parallelizer } = require('@parallelizer/node');
          const log = require('./log.js');
          const names = ${JSON.stringify(Object.keys(LOGGERS))};
          (async () => {
            for (const name of names) await log(name, '${HANDLER}');
            const parallelizer = new Parallelizer({
              type: '${type}', filePath: __dirname + '/worker.js', processBatchFunctionName: 'batch', parallelization: 1, batchSize: 1, stdio: 'forward',
            });
            const { failures } = await parallelizer.run(names);
            await parallelizer.close();
            for (const failure of failures) console.log('FAILED ' + failure);
          })();
        `,
      });
      const env = { AWS_LAMBDA_LOG_FORMAT: format, AWS_LAMBDA_FUNCTION_NAME: 'project', AWS_EMF_ENVIRONMENT: 'Lambda', POWERTOOLS_TRACE_ENABLED: 'false' };
      const { output } = await succeed(t, folder, [process.execPath, 'program.js'], { env });
      await compare(t, output);
      assert.doesNotMatch(output, /^FAILED/m);
    });

    for (const client of [3, 4]) {
      ecosystemTest(`AWS's runtime client ${client}, ${type}, ${format} logs`, ['loggers'], async (t) => {
        const { missing } = clientFor(client);
        if (missing !== null) return t.skip(missing);
        const folder = project(t, 'loggers', {
          ...FILES,
          'function.js': `
            const { createHandler } = require('@parallelizer/node/lambda');
            const log = require('./log.js');
            const onWorkers = createHandler({ type: '${type}', filePath: __dirname + '/worker.js', recordFunctionName: 'record', parallelization: 1 });
            exports.handler = async (event, context) => {
              for (const { body } of event.Records) await log(JSON.parse(body).name, '${HANDLER}');
              return onWorkers(event, context);
            };
          `,
        });
        const lambda = await startEnvironment(t, {
          task: folder, handler: 'function.handler', client, env: { AWS_LAMBDA_LOG_FORMAT: format, POWERTOOLS_TRACE_ENABLED: 'false' },
        });
        const Records = Object.keys(LOGGERS).map((name, i) => (
          { messageId: `m${i}`, body: JSON.stringify({ name }), eventSource: 'aws:sqs', eventSourceARN: 'arn' }));
        // A worker's first invocation, and one that finds it warm.
        for (const which of ['first', 'second']) {
          const before = lambda.output.length;
          const answer = await lambda.respond({ Records });
          // Its output has its own way here, and comes when it comes.
          await lambda.initialised();
          const failed = new Set(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
          const written = (place, name) => linesOf(lambda.output.slice(before), place, name).length;
          await waitFor(() => Object.keys(LOGGERS).every((name, i) => failed.has(`m${i}`)
            || (written(HANDLER, name) >= (LINES[name] ?? 1) && written(WORKER, name) >= written(HANDLER, name))),
          'the lines of the handler and of the workers');
          await t.test(`${which} invocation`, (inner) => compare(inner, lambda.output.slice(before)));
          assert.deepEqual(answer, { batchItemFailures: [] });
        }
      });
    }
  }
}
