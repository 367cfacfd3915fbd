'use strict';
// Reads the code blocks of a Markdown document, and the comments that say how each of them is checked.
//
// A comment on the lines before a block says what the block is:
//
//   <!-- file: worker.js -->       the block is that file in its section's directory; a program there has to load it
//   <!-- run -->                   the block is a program that has to exit with code 0; `run: main.mjs` names its file
//   <!-- within: main.js           the block replaces the line `…` of this text, which is a program
//   const { Pool } = require('@parallelizer/node');
//   …
//   -->
//
// A comment that belongs to no block is a program of its own, which uses the files of its section:
//
//   <!-- check
//   require('node:assert').equal(require('./worker.js').answer(), 42);
//   -->
//
// A section reaches from a heading of the first or second level to the next one; `<!-- new directory -->` divides it.
// In a program, a comment `// → text` says that the output has this line, after the ones that were said before.

/** @typedef {{ language: string, text: string, line: number, directive: Directive | null }} Block */
/** @typedef {{ word: string, name: string | null, text: string, line: number }} Directive */
/** @typedef {{ title: string, blocks: Block[], checks: Directive[] }} Section */

const DIRECTIVES = ['file', 'run', 'within', 'check', 'new directory'];

/**
 * @param {string} markdown
 * @returns {Section[]}
 */
function sectionsOf(markdown) {
  const lines = markdown.split('\n');
  /** @type {Section[]} */
  const sections = [{ title: 'the beginning', blocks: [], checks: [] }];
  /** @type {Directive | null} */
  let directive = null;
  for (let i = 0; i < lines.length; i++) {
    const section = sections.at(-1);
    const fence = /^( *)(```+|~~~+) *(\S*)/.exec(lines[i]);
    if (fence) {
      const [, indent, mark, language] = fence;
      const end = lines.findIndex((line, j) => j > i && line.trim() === mark);
      if (end === -1) throw new Error(`line ${i + 1}: the block is not closed`);
      const text = lines.slice(i + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
      section.blocks.push({ language, text: text.join('\n') + '\n', line: i + 1, directive });
      directive = null;
      i = end;
    } else if (lines[i].startsWith('<!--')) {
      const end = lines.findIndex((line, j) => j >= i && line.includes('-->'));
      if (end === -1) throw new Error(`line ${i + 1}: the comment is not closed`);
      const found = directiveOf(lines.slice(i, end + 1).join('\n'), i + 1);
      i = end;
      if (found === null) continue;
      if (directive !== null) throw stray(directive);
      if (found.word === 'new directory')
        sections.push({ title: `${section.title}, from line ${i + 1}`, blocks: [], checks: [] });
      else if (found.word === 'check') section.checks.push(found);
      else directive = found;
    } else if (lines[i].trim() !== '') {
      if (directive !== null) throw stray(directive);
      const heading = /^##? (.+)/.exec(lines[i]);
      if (heading) sections.push({ title: heading[1], blocks: [], checks: [] });
    }
  }
  if (directive !== null) throw stray(directive);
  return sections.filter(({ blocks, checks }) => blocks.length + checks.length > 0);
}

/** @param {string} comment @param {number} line @returns {Directive | null} */
function directiveOf(comment, line) {
  const [head, ...rest] = comment.replace(/^<!-- */, '').replace(/\s*-->.*$/s, '').split('\n');
  const [, word, name] = /^([a-z ]+?)(?:: *(\S+))? *$/.exec(head) ?? [];
  if (!DIRECTIVES.includes(word)) return null;
  if (word === 'file' && name === undefined)
    throw new Error(`line ${line}: "file" needs a name, as in <!-- file: worker.js -->`);
  if (word === 'within' && !rest.some((each) => each.trim() === '…')) {
    throw new Error(`line ${line}: "within" needs a line "…", where the block goes`);
  }
  return { word, name: name ?? null, text: rest.join('\n'), line };
}

/** @param {Directive} directive */
function stray({ word, line }) {
  return new Error(`line ${line}: "${word}" belongs to a block, which has to follow it`);
}

module.exports = { sectionsOf };
