import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A room of the house: the longest prefix of a file's path that is in this table, with the rooms it may import from. */
const laws: Readonly<Record<string, readonly string[]>> = {
  'plugin-api': [],
  'rack-config': ['plugin-api'],
  'src/kernel': ['plugin-api'],
  'src/wire': ['plugin-api', 'src/kernel'],
  'src/config': ['plugin-api', 'src/kernel', 'src/wire', 'rack-config'],
  'src/core': ['plugin-api', 'src/kernel', 'src/wire', 'rack-config'],
  'src/operations': ['plugin-api', 'src/kernel', 'src/wire', 'rack-config', 'src/core'],
  'src/api': ['plugin-api', 'src/kernel', 'src/wire', 'src/core', 'src/operations'],
  'src/drivers': ['plugin-api', 'src/kernel', 'src/wire'],
  'src/store': ['plugin-api', 'src/kernel', 'src/wire', 'src/core', 'migrations'],
  migrations: ['plugin-api', 'src/kernel', 'src/store'],
  lab: ['plugin-api', 'src/kernel', 'src/wire'],
  'src/cli': [
    'plugin-api',
    'src/kernel',
    'src/wire',
    'rack-config',
    'src/config',
    'src/core',
    'src/operations',
    'src/drivers',
    // Backup and restore need no service, and no service may be there for a restore.
    'src/store',
    'lab',
    'src/main.ts',
  ],
  // What puts the service together: the only room that sees both api/ and drivers/.
  'src/composition': [
    'plugin-api',
    'src/kernel',
    'src/config',
    'src/core',
    'src/operations',
    'src/api',
    'src/drivers',
    'src/store',
  ],
  // The order of start and stop; it takes doors and drivers from the composition, never from their rooms.
  'src/main.ts': ['plugin-api', 'src/kernel', 'src/config', 'src/operations', 'src/composition'],
};

/** Rooms whose sub-rooms may not know each other. */
const separate = ['src/api', 'src/drivers/power', 'src/drivers/switch', 'src/drivers/deploy', 'src/drivers'];

describe('import law (docs/architecture.md)', () => {
  const files = ['plugin-api', 'rack-config', 'migrations', 'lab', 'src'].flatMap((folder) =>
    sources(path.join(root, folder)),
  );

  it('every source file belongs to a room', () => {
    assert.deepEqual(
      files.filter((file) => roomOf(file) === null),
      [],
    );
    assert.ok(files.length > 100, 'the sources were not found');
  });

  it('no room imports from a room it may not know', () => {
    const broken = files.flatMap((file) => {
      const room = roomOf(file)!;
      return imports(file)
        .filter((target) => roomOf(target) !== room && !laws[room]!.includes(roomOf(target) ?? ''))
        .map((target) => `${file} imports ${target}`);
    });
    assert.deepEqual(broken, []);
  });

  it('no file imports itself, through whatever others, types included', () => {
    const imported = new Map(files.map((file) => [file, imports(file)]));
    assert.deepEqual(circles(imported), []);
  });

  it('finds circles of any length', () => {
    const imported = { a: ['b', 'x'], b: ['c', 'd'], c: ['a'], d: ['d'], x: ['y'], y: [] };
    assert.deepEqual(circles(new Map(Object.entries(imported))), ['a > b > c > a', 'd > d']);
  });

  it('siblings among protocols and drivers do not know each other', () => {
    const broken = files.flatMap((file) => {
      const parent = separate.find((folder) => file.startsWith(`${folder}/`));
      if (!parent) return [];
      const own = file.slice(parent.length + 1).split('/')[0];
      // A file beside the drivers lists them: the registry.
      if (own?.endsWith('.ts')) return [];
      return imports(file)
        .filter(
          (target) =>
            target.startsWith(`${parent}/`) && target.slice(parent.length + 1).split('/')[0] !== own,
        )
        .map((target) => `${file} imports ${target}`);
    });
    assert.deepEqual(broken, []);
  });

  it('the lab shares no switch text, parsing or planning with the driver', () => {
    const broken = files
      .filter((file) => file.startsWith('lab/switch/'))
      .flatMap((file) =>
        imports(file)
          .filter((target) => target === 'plugin-api/switch-plan.ts')
          .map((target) => `${file} imports ${target}`),
      );
    assert.deepEqual(broken, []);
  });

  it('no folder is called utils, common, helpers or misc', () => {
    assert.deepEqual(
      files.filter((file) => /\/(utils?|common|helpers?|misc)(\/|\.ts$)/.test(file)),
      [],
    );
  });

  it('the published packages import no library but zod', () => {
    const broken = files
      .filter((file) => /^(plugin-api|rack-config)\//.test(file))
      .flatMap((file) =>
        packages(file)
          .filter((name) => !name.startsWith('node:') && !(file.startsWith('rack-config/') && name === 'zod'))
          .map((name) => `${file} imports ${name}`),
      );
    assert.deepEqual(broken, []);
  });
});

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

function roomOf(file: string): string | null {
  const rooms = Object.keys(laws).filter((room) => file === room || file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? null;
}

function specifiers(file: string): string[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  return [...text.matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\s*\(\s*)'([^']+)'/g)].map((match) => match[1]!);
}

/** The shortest circle through each file that is in one and in none of those found before. */
function circles(imported: ReadonlyMap<string, readonly string[]>): string[] {
  const seen = new Set<string>();
  return [...imported.keys()].flatMap((file) => {
    const circle = seen.has(file) ? null : circleThrough(file, imported);
    for (const one of circle ?? []) seen.add(one);
    return circle ? [[...circle, file].join(' > ')] : [];
  });
}

/** Breadth first; the file itself comes first. */
function circleThrough(file: string, imported: ReadonlyMap<string, readonly string[]>): string[] | null {
  const ways = new Map([[file, [file]]]);
  for (const [at, way] of ways)
    for (const target of imported.get(at) ?? []) {
      if (target === file) return way;
      if (!ways.has(target)) ways.set(target, [...way, target]);
    }
  return null;
}

/** Files of this project that a file imports, relative to the root. */
function imports(file: string): string[] {
  return specifiers(file)
    .filter((target) => target.startsWith('.'))
    .map((target) => path.join(path.dirname(file), target));
}

function packages(file: string): string[] {
  return specifiers(file).filter((target) => !target.startsWith('.'));
}
