// The types of `@parallelizer/node/opentelemetry`, written by hand.

import type { MeterProvider, TracerProvider } from '@opentelemetry/api';

/** The options of `instrument`. An option that is `undefined` has its default. */
export interface InstrumentOptions {
  /** Makes the spans. Default: the one that is registered with the API when a span begins. */
  tracerProvider?: TracerProvider | undefined;
  /** Makes the metrics. Default: the one that is registered with the API when `instrument` is called. */
  meterProvider?: MeterProvider | undefined;
  /** Whether there are spans. Default: `true`. */
  spans?: boolean | undefined;
  /** Whether there are metrics. Default: `true`. */
  metrics?: boolean | undefined;
}

/** What `instrument` has set up. */
export interface Instrumentation {
  /** Ends it: spans that have begun are ended, and no more are made. */
  disable(): void;
}

/**
 * Has all instances of this process, those that exist and those to come, make spans and metrics with the OpenTelemetry
 * API: a span for each run, a child of the caller's, and one for each sub-batch or chunk, a child of the run's. The
 * context and the baggage of that one travel to the worker, whose functions run within them. A second call takes the
 * place of the first.
 *
 * Needs the package `@opentelemetry/api`, and an SDK that is registered with it.
 *
 * @throws {ParallelizerError} `ERR_PARALLELIZER_MODULE` if `@opentelemetry/api` does not load; `ERR_PARALLELIZER_OPTION`
 *
 * @example
 * const { NodeSDK } = require('@opentelemetry/sdk-node');
 * const { instrument } = require('@parallelizer/node/opentelemetry');
 *
 * new NodeSDK().start();
 * instrument();
 */
export declare function instrument(options?: InstrumentOptions): Instrumentation;
