'use strict';
// Links in the documentation lead to files of the repository, and to headings in them, that exist; and so do the files
// and folders that it names.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { root } = require('./support/helpers');

/** Installed packages have documents of their own, and symbolic links that lead in circles. */
const INSTALLED = ['node_modules', '.setup'];

/** @param {string} folder @param {boolean} deep @returns {string[]} */
function documentsIn(folder, deep) {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) return deep && !INSTALLED.includes(entry.name) ? documentsIn(name, deep) : [];
    return name.endsWith('.md') ? [name] : [];
  });
}

const documents = [
  ...documentsIn('.', false),
  ...['docs', 'benchmark', 'examples'].flatMap((folder) => documentsIn(folder, true)),
];

/** A heading's anchor, as GitHub makes it. @param {string} heading */
const anchorOf = (heading) => heading.trim().toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');

for (const document of documents) {
  test(document, () => {
    const text = fs.readFileSync(path.join(root, document), 'utf8').replace(/^ *(```+).*?^ *\1$/gms, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split('#');
      const linked = file === '' ? path.join(root, document) : path.join(root, path.dirname(document), file);
      assert.ok(fs.existsSync(linked), `${target} is not there`);
      if (anchor === undefined) continue;
      const headings = [...fs.readFileSync(linked, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
        anchorOf(heading),
      );
      assert.ok(headings.includes(anchor), `${target}: there is no such heading among ${headings.join(', ')}`);
    }
  });
}

/** What the build or a run makes is not in a clone. */
const MADE = ['benchmark/results/'];

for (const document of documents.filter((name) => !name.startsWith('examples'))) {
  test(`${document}: the files that it names are there`, () => {
    const text = fs.readFileSync(path.join(root, document), 'utf8');
    for (const [, named] of text.matchAll(/`((?:\.github|__test__|benchmark|docs|examples|fuzz|lib|scripts|src)\/[\w./-]*)`/g)) {
      if (MADE.includes(named)) continue;
      assert.ok(fs.existsSync(path.join(root, named)), `\`${named}\` is not there`);
    }
  });
}
