/** A reporter for `node --test`: a line of JSON for each test, without the suites, for scripts that count. */
export default async function* results(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite') continue;
    const kind = type === 'test:fail' ? 'fail' : data.skip !== undefined ? 'skip' : 'pass';
    yield `${JSON.stringify({ name: data.name, kind })}\n`;
  }
}
