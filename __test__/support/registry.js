'use strict';
// A registry of npm packages on loopback that has the given tarballs and nothing else.

const { createHash } = require('node:crypto');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

/** @param {string} tarball */
function manifestIn(tarball) {
  return JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }));
}

/**
 * @param {string[]} tarballs
 * @returns {Promise<{ url: string, close: () => void }>}
 */
async function serve(tarballs) {
  const packages = new Map(tarballs.map((tarball) => [manifestIn(tarball).name, tarball]));
  const server = http.createServer((request, response) => {
    const wanted = decodeURIComponent(String(request.url)).slice(1);
    const [name, file] = wanted.split('/-/');
    const tarball = packages.get(name);
    if (tarball === undefined) return response.writeHead(404).end('{}');
    const bytes = fs.readFileSync(tarball);
    if (file !== undefined) return response.end(bytes);
    const manifest = manifestIn(tarball);
    const dist = {
      tarball: `${url}${name}/-/${path.basename(tarball)}`,
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    };
    const versions = { [manifest.version]: { ...manifest, dist } };
    return response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ name, 'dist-tags': { latest: manifest.version }, versions }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`;
  return { url, close: () => server.close() };
}

module.exports = { serve };
