import { readFileSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { ConfigError, type ConfigProblem } from './config-error.ts';

/** A configuration is a few KB. */
const maxConfigBytes = 1024 * 1024;

/** The way from the root to a value: keys and list indexes. */
export type Path = readonly PropertyKey[];

export interface WrittenConfig {
  readonly file: string;
  readonly value: unknown;
  /** Where the key (or list element) of the path stands, both from 1; else its nearest parent. */
  position(path: Path): { readonly line: number; readonly column: number };
}

/** @throws ConfigError where the file cannot be read or is not YAML */
export function readYaml(file: string): WrittenConfig {
  const fault = (message: string, remedy: string, line = 1, column = 1): ConfigProblem => {
    return { source: file, line, column, key: '', message, remedy };
  };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    const why = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unreadable';
    const problem = fault(`the file cannot be read (${why})`, 'check the path and its permissions');
    throw new ConfigError([{ ...problem, line: null, column: null }]);
  }
  if (text.length > maxConfigBytes) {
    throw new ConfigError([fault('the file is larger than 1 MB', 'this is not a csbm.yaml')]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const faults = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    // yaml's texts may quote the line, and a line may be a secret: only its code is passed on.
    return fault(
      yamlFaults[error.code] ?? 'this is not YAML',
      'correct the YAML; mind indentation',
      line,
      col,
    );
  });
  if (faults.length > 0) throw new ConfigError(faults);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 10 });
  } catch {
    throw new ConfigError([fault('an alias is unknown or used too often', 'write the values out')]);
  }
  return {
    file,
    value,
    position: (path) => {
      const { line, col } = lines.linePos(offsetOf(document, path));
      return { line, column: col };
    },
  };
}

const yamlFaults: Readonly<Partial<Record<string, string>>> = {
  DUPLICATE_KEY: 'a key stands twice',
  TAB_AS_INDENT: 'a tab indents the line; YAML takes spaces only',
  BAD_INDENT: 'the indentation does not fit',
  MISSING_CHAR: 'a character is missing, perhaps a closing quote or bracket',
  MULTILINE_IMPLICIT_KEY: 'a key goes over the end of its line, perhaps a ":" is missing',
  IMPOSSIBLE: 'this is not YAML',
};

/** Where the key (or list element) of the path begins; of a path that leads nowhere, where its nearest parent does. */
function offsetOf(document: Document, path: Path): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap<Node, Node | null>(node)) {
      const pair: { key: Node; value: Node | null } | undefined = node.items.find(
        ({ key }) => isScalar(key) && key.value === part,
      );
      if (!pair) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq<Node>(node) && typeof part === 'number') {
      node = node.items[part] ?? null;
      offset = node?.range?.[0] ?? offset;
    } else {
      break;
    }
  }
  return offset;
}
