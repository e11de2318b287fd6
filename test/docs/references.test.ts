import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { csbmProgram } from '../../src/cli/program.ts';
import { settings } from '../../src/config/config-tree.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { actions } from '../../src/core/access/rights.ts';
import { force10Type } from '../../src/drivers/switch/force10-cli/index.ts';
import { findingCodes } from '../../src/operations/survey/finding.ts';
import { failureCodes } from './generated-parts.ts';
import { anchorsOf, codePieces, pages, root, textOf } from './pages.ts';

/** What the pages refer to must be there. */
describe('references in the documentation', () => {
  const pieces = pages().flatMap(codePieces);

  it('every relative link leads to a file, and its anchor to a heading', () => {
    const broken = pages().flatMap((page) =>
      [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1]!)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !leadsSomewhere(page, target))
        .map((target) => `${page}: ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  it('every csbm verb and option exists', async () => {
    const program = await csbmProgram({
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      env: {},
      cwd: root,
      interrupted: () => new AbortController().signal,
    });
    const calls = pieces.filter(({ text }) => /^(\$ )?(\w+=\S+ )*(\.\/|bin\/)*csbm( |$)/.test(text));
    assert.ok(calls.length > 30, 'the calls were not found');
    const wrong = calls.flatMap(({ page, text }) =>
      whatIsWrong(program, text).map((what) => `${page}: ${text}: ${what}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('every make target exists', () => {
    const makefile = readFileSync(path.join(root, 'Makefile'), 'utf8');
    const targets = new Set([...makefile.matchAll(/^([a-z][a-z0-9-]*):/gm)].map((match) => match[1]!));
    const named = pieces.flatMap(({ page, text }) =>
      (/^make((?: [a-z][a-z0-9-]*)+)/.exec(text)?.[1] ?? '')
        .split(' ')
        .filter((target) => target !== '' && !targets.has(target))
        .map((target) => `${page}: make ${target}`),
    );
    assert.deepEqual(named, []);
    assert.ok(pieces.some(({ text }) => text.startsWith('make demo')));
  });

  it('every setting and failure code that is named exists', () => {
    const known = new Set([
      // With the sections that they are in.
      ...settings.flatMap(({ path: keys }) => keys.map((_, i) => keys.slice(0, i + 1).join('.'))),
      ...actions,
      ...Object.keys(failureCodes),
      ...Object.keys(findingCodes),
    ]);
    const heads = new Set([...known].map((name) => name.split('.')[0]!));
    const unknown = pieces
      // The reference is made from the settings, and names them by section.
      .filter(({ page }) => page !== 'docs/config.md')
      .filter(({ text }) => /^[a-z]+(\.[a-zA-Z-]+)+$/.test(text) && heads.has(text.split('.')[0]!))
      .filter(({ text }) => !known.has(text) && !isStep(text) && !isForeign(text))
      .map(({ page, text }) => `${page}: ${text}`);
    assert.deepEqual(unknown, []);
  });

  it('every file of the project that is named exists', () => {
    const missing = pieces
      .filter(({ text }) =>
        /^(src|lab|test|docs|plugin-api|rack-config|migrations|bin|\.ci)\/[\w./-]*$/.test(text),
      )
      .filter(({ text }) => !existsSync(path.join(root, text)))
      .map(({ page, text }) => `${page}: ${text}`);
    assert.deepEqual(missing, []);
  });

  it('the ports are those of the code', () => {
    const { config } = loadConfig({ env: {}, cwd: '/nowhere' });
    const page = textOf('docs/ports.md');
    for (const port of [
      config.http.port,
      config.boot.port,
      force10Type.transports[force10Type.defaultTransport],
    ])
      assert.match(page, new RegExp(`\\| ${port} +\\|`));
  });
});

function leadsSomewhere(page: string, target: string): boolean {
  const [file = '', anchor] = target.split('#');
  const found = file === '' ? page : path.join(path.dirname(page), file);
  if (!existsSync(path.join(root, found))) return false;
  return anchor === undefined || anchorsOf(found).has(anchor);
}

/** Walks down from `csbm` as far as there are sub-commands, then looks at the options. */
function whatIsWrong(program: Command, call: string): string[] {
  const words = call
    .replace(/^.*?csbm/, '')
    .split(/ #|[|&;>]/)[0]!
    .split(/\s+/)
    .filter((word) => word !== '');
  let command = program;
  while (command.commands.length > 0) {
    const word = words.shift();
    if (word === undefined || word.startsWith('-') || /^(VERB|<|\.\.\.)/.test(word)) break;
    const next = command.commands.find((child) => child.name() === word || child.aliases().includes(word));
    if (!next) return [`there is no verb ${word}`];
    command = next;
  }
  const known = new Set(command.options.flatMap((option) => [option.long, option.short]));
  return words
    .filter((word) => word.startsWith('-') && word !== '-')
    .map((word) => word.replace(/[=\]].*$/, ''))
    .filter((word) => !known.has(word) && !['--help', '-h'].includes(word))
    .map((word) => `there is no option ${word}`);
}

/** Steps of operations are written like settings: `power.off`. */
function isStep(text: string): boolean {
  return new RegExp(`\\| \`${text.replaceAll('.', '\\.')}\``).test(textOf('docs/operations.md'));
}

/** Settings of CloudStack, and files, are written like ours. */
function isForeign(text: string): boolean {
  return /\.(ts|py|json|yaml|md|key|token|sqlite|pem|ipxe)$/.test(text);
}
