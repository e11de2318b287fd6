import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { z } from 'zod';
import { CodedError, parseSecretReference, resolveSecret, Secret } from '../../plugin-api/index.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { settings, type Setting } from './config-tree.ts';
import { configSchema, defaultStateDir, type Config } from './config.ts';
import { readYaml, type Path, type WrittenConfig } from './read-yaml.ts';

export const defaultConfigFile = 'csbm.yaml';

export interface ConfigSources {
  /** The file; absent = `CSBM_CONFIG`, else `csbm.yaml` in the working folder where there is one, else defaults only. */
  readonly path?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working folder: the process's own unless a test says otherwise. */
  readonly cwd?: string | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, absolute, or null. */
  readonly file: string | null;
  /** What was ignored but is probably a mistake. */
  readonly warnings: readonly string[];
}

/**
 * Reads csbm.yaml, overrides it from the environment (`CSBM_<SECTION>_<KEY>`), looks secrets up, fills in defaults.
 * Paths in the file are relative to the file, others to the working folder.
 * @throws ConfigError (`config.invalid`) with everything that is wrong, each with file, line, key and remedy
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const cwd = resolve(sources.cwd ?? process.cwd());
  const file = findFile(sources, cwd);
  const written = file === null ? null : readYaml(file);
  const loader = new Loader(written, sources.env, cwd);
  const config = loader.load();
  return { config, file, warnings: unknownVariables(sources.env) };
}

function findFile({ path, env }: ConfigSources, cwd: string): string | null {
  const named = path ?? env['CSBM_CONFIG'];
  if (named) return resolve(cwd, named);
  const usual = resolve(cwd, defaultConfigFile);
  return existsSync(usual) ? usual : null;
}

type Tree = Record<string, unknown>;

class Loader {
  readonly #problems: ConfigProblem[] = [];
  readonly #written: WrittenConfig | null;
  readonly #env: ConfigSources['env'];
  readonly #cwd: string;
  /** Settings that the environment gave, by dotted key. */
  readonly #overridden = new Map<string, string>();

  constructor(written: WrittenConfig | null, env: ConfigSources['env'], cwd: string) {
    this.#written = written;
    this.#env = env;
    this.#cwd = cwd;
  }

  load(): Config {
    const tree = this.#root();
    for (const setting of settings) this.#prepare(tree, setting);
    // Settings say by themselves how to write them; this is for sections.
    const result = configSchema.safeParse(tree, { error: () => 'write keys below it, indented' });
    for (const issue of result.error?.issues ?? []) this.#report(tree, issue);
    if (this.#problems.length > 0 || !result.data) throw new ConfigError(this.#problems);
    return result.data;
  }

  #root(): Tree {
    const value = this.#written?.value ?? {};
    if (isTree(value)) return structuredClone(value);
    this.#problem(
      [],
      'the file is not a list of keys',
      'write sections, for example "http:" and below it "  port: 8440"',
    );
    throw new ConfigError(this.#problems);
  }

  /** Puts into the tree what the environment says, absolute paths, and secrets themselves. */
  #prepare(tree: Tree, setting: Setting): void {
    const section = this.#section(tree, setting.path.slice(0, -1));
    if (!section) return;
    const key = setting.path.at(-1)!;
    const variable = setting.env === null ? undefined : this.#env[setting.env];
    if (variable !== undefined && variable !== '') {
      this.#overridden.set(setting.path.join('.'), setting.env!);
      section[key] = fromVariable(variable, setting);
    }
    const overridden = this.#overridden.has(setting.path.join('.'));
    const base = overridden || !this.#written ? this.#cwd : dirname(this.#written.file);
    const value = section[key];
    if (setting.kind === 'path') {
      if (typeof value === 'string' && value !== '') section[key] = resolve(base, value);
      else if (value === undefined || value === null) {
        const fallback = this.#defaultPath(tree, setting);
        if (fallback === undefined) Reflect.deleteProperty(section, key);
        else section[key] = fallback;
      }
    } else if (setting.kind === 'secret' && typeof value === 'string') {
      section[key] = overridden ? new Secret(value) : this.#secret(value, base, setting.path);
    } else if (value === null) {
      // `key:` with nothing behind it = not set.
      Reflect.deleteProperty(section, key);
    }
  }

  /** The object of a section, made where it is absent; null where the file has something else in its place. */
  #section(tree: Tree, path: readonly string[]): Tree | null {
    let section = tree;
    for (const name of path) {
      const next = (section[name] ??= {});
      if (!isTree(next)) return null;
      section = next;
    }
    return section;
  }

  #defaultPath(tree: Tree, setting: Setting): string | undefined {
    if (setting.path[0] === 'stateDir') return resolve(this.#cwd, defaultStateDir);
    const { stateDir } = tree;
    if (setting.inStateDir === undefined) return undefined;
    // A misshapen stateDir is reported by itself.
    return join(typeof stateDir === 'string' ? stateDir : this.#cwd, setting.inStateDir);
  }

  #secret(text: string, base: string, path: Path): unknown {
    const reference = parseSecretReference(text);
    if (reference.from === 'literal') {
      this.#problem(path, 'the secret itself stands in the file', 'write env:NAME or file:/path');
      return undefined;
    }
    try {
      return resolveSecret(reference, {
        env: this.#env,
        readFile: (name) => readFileSync(resolve(base, name), 'utf8'),
      });
    } catch (thrown) {
      if (!(thrown instanceof CodedError)) throw thrown;
      this.#problem(path, thrown.what, thrown.remedy ?? 'check the reference');
      return undefined;
    }
  }

  #report(tree: Tree, issue: z.core.$ZodIssue): void {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        this.#problem([...issue.path, key], 'the key is unknown', nearest(key, issue.path));
      }
      return;
    }
    this.#problem(issue.path, complaint(issue, valueAt(tree, issue.path)), issue.message);
  }

  #problem(path: Path, message: string, remedy: string): void {
    const key = formatKey(path);
    const variable = this.#overridden.get(key);
    if (variable !== undefined || !this.#written) {
      const source = variable ?? 'defaults';
      this.#problems.push({ source, line: null, column: null, key, message, remedy });
      return;
    }
    const position = this.#written.position(path);
    this.#problems.push({ source: this.#written.file, ...position, key, message, remedy });
  }
}

/** What a variable's text means for the kind of setting; a text that does not fit is left for the schema to refuse. */
function fromVariable(text: string, { kind }: Setting): unknown {
  if (kind === 'true or false') return text === 'true' ? true : text === 'false' ? false : text;
  if (kind === 'whole number' || kind === 'number') {
    return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  }
  return text;
}

/** Variables that look like settings of ours and are none. */
function unknownVariables(env: ConfigSources['env']): readonly string[] {
  const known = new Set(settings.map((setting) => setting.env));
  const sections = Array.from(
    new Set(settings.map((s) => s.path[0]!)),
    (name) => `CSBM_${name.toUpperCase()}_`,
  );
  return Object.keys(env)
    .filter((name) => !known.has(name) && sections.some((section) => name.startsWith(section)))
    .sort()
    .map((name) => `the environment variable ${name} is no setting and is ignored`);
}

/** Which keys there are, and which was probably meant. */
function nearest(key: string, section: Path): string {
  const known = new Set(
    settings
      .filter(({ path }) => section.every((part, i) => path[i] === part))
      .map(({ path }) => path[section.length]!),
  );
  const fold = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '');
  const meant = Array.from(known).find((name) => fold(name) === fold(key));
  return meant === undefined ? `use one of: ${Array.from(known).join(', ')}` : `did you mean "${meant}"?`;
}

function complaint(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === 'custom' && typeof issue.params?.['what'] === 'string') return issue.params['what'];
  if (value === undefined) return 'is missing';
  if (issue.code === 'too_small' || issue.code === 'too_big') {
    return typeof value === 'number' ? 'is out of range' : 'is empty';
  }
  if (issue.code === 'invalid_type' || (issue.code === 'custom' && typeof value !== 'string'))
    return `is ${kindOf(value)}`;
  return issue.code === 'invalid_value' ? 'is none of the known values' : 'is misspelt';
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a fraction';
  return typeof value === 'boolean' ? 'true or false' : 'a section';
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return value;
}

function formatKey(path: Path): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join('');
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret);
}
