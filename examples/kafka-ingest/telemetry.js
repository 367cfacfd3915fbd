'use strict';

/**
 * What the devices send: a quarter of a second of vibration, compressed, under the signature of the device. Both
 * sides of it, making such a message and reading it; nothing here knows of workers or databases.
 *
 * Reading one takes about 0.2 ms of computing, most of it for the signature, and gives one row. A message that is not
 * right gives a row too: thrown, it would hold up its partition for ever.
 */

const { createHash, createPrivateKey, createPublicKey, sign, verify } = require('node:crypto');
const { deflateRawSync, inflateRawSync } = require('node:zlib');
const FFT = require('fft.js');

const SAMPLES = 256;
const SAMPLE_RATE = 1024;
const DEVICES = 64;
/** What DER has before the 32 bytes of an Ed25519 key. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * @typedef {object} Reading a row of the database
 * @property {string} topic
 * @property {number} partition
 * @property {number} offset
 * @property {string} device
 * @property {number} measuredAt milliseconds since 1970
 * @property {'accepted' | 'rejected'} status
 * @property {string | null} reason of a rejection
 * @property {number | null} rms
 * @property {number | null} peak
 * @property {number | null} frequency where the spectrum is highest, in hertz
 */

/** @template T @param {(device: string) => T} make */
function perDevice(make) {
  /** @type {Map<string, T>} */
  const known = new Map();
  return (/** @type {string} */ device) => {
    let value = known.get(device);
    if (value === undefined) known.set(device, (value = make(device)));
    return value;
  };
}

/** Keys follow from names, so that no registry is needed. */
const privateKey = perDevice((device) => createPrivateKey({
  key: Buffer.concat([PKCS8_PREFIX, createHash('sha256').update(`key of ${device}`).digest()]),
  format: 'der',
  type: 'pkcs8',
}));
const publicKey = perDevice((device) => createPublicKey(privateKey(device)));

/**
 * The message with this number. One in a hundred was changed on its way.
 *
 * @param {number} number
 */
function makeMessage(number) {
  const device = `pump-${String(number % DEVICES).padStart(2, '0')}`;
  const amplitude = 2000 + 37 * (number % 400);
  const hertz = 12 * (1 + (number % 39));
  // The noise is a hash of the number: the same on every run, and as hard to compress as noise is.
  const noise = createHash('sha512').update(String(number)).digest();
  const samples = Int16Array.from({ length: SAMPLES }, (_, index) => (
    amplitude * Math.sin((2 * Math.PI * hertz * index) / SAMPLE_RATE) + noise[index % noise.length]
  ));

  const value = deflateRawSync(Buffer.from(samples.buffer));
  const signature = sign(null, value, privateKey(device));
  if (number % 100 === 99) value[value.length >> 1] ^= 1;
  return { key: device, value, headers: { signature: signature.toString('base64') } };
}

const fft = new FFT(SAMPLES);
const spectrum = fft.createComplexArray();

/** @param {Buffer} value */
function measure(value) {
  const raw = inflateRawSync(value, { maxOutputLength: 2 * SAMPLES });
  const samples = new Int16Array(raw.buffer, raw.byteOffset, SAMPLES);

  let peak = 0;
  let squares = 0;
  for (const sample of samples) {
    peak = Math.max(peak, Math.abs(sample));
    squares += sample * sample;
  }

  fft.realTransform(spectrum, samples);
  let highest = 0;
  let frequency = 0;
  // The first bin is what the samples are on average, which is no vibration.
  for (let bin = 1; bin <= SAMPLES / 2; bin += 1) {
    const power = spectrum[2 * bin] ** 2 + spectrum[2 * bin + 1] ** 2;
    if (power > highest) {
      highest = power;
      frequency = (bin * SAMPLE_RATE) / SAMPLES;
    }
  }
  return { rms: Math.round(Math.sqrt(squares / SAMPLES)), peak, frequency };
}

/**
 * One record, one row.
 *
 * @param {import('@parallelizer/node/lambda').KafkaRecord} record
 * @returns {Reading}
 */
function toReading({ topic, partition, offset, timestamp, key, bytes, headers }) {
  const device = key ?? '';
  const value = bytes ?? Buffer.alloc(0);
  const genuine = verify(null, value, publicKey(device), Buffer.from(headers.signature ?? '', 'base64'));

  return {
    topic,
    partition,
    offset,
    device,
    measuredAt: timestamp,
    ...(genuine
      ? { status: 'accepted', reason: null, ...measure(value) }
      : { status: 'rejected', reason: 'signature', rms: null, peak: null, frequency: null }),
  };
}

module.exports = { makeMessage, toReading };
