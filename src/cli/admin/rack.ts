import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buffer as readAll } from 'node:stream/consumers';
import { Command } from 'commander';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { Terminal } from '../terminal.ts';
import { table, time } from '../table.ts';
import { utf8 } from '../utf8.ts';
import type { SwitchView, WireView } from './api-types.ts';
import { adminRun, adminVerb, printer, type AdminOptions } from './verb.ts';

interface Checked {
  readonly switches: number;
  readonly wires: number;
  readonly warnings: readonly (string | { line: number; column: number; path: string; message: string })[];
}

/** `csbm rack` */
export function rackCommand(terminal: Terminal): Command {
  const group = new Command('rack');

  group
    .command('check <file>')
    .description('check a rack config (CloudStack rack JSON) without the service; - reads standard input')
    .option('--json', 'print one JSON document')
    .action(async (file: string, { json = false }: { json?: boolean }) => {
      // Loaded only here: the switch types come with their drivers.
      const [{ parseRackConfig }, { switchTypes }] = await Promise.all([
        import('../../../rack-config/index.ts'),
        import('../../drivers/switch/registry.ts'),
      ]);
      const text = await readRack(file, terminal);
      const { switches, wires, warnings } = parseRackConfig(text, switchTypes);
      const checked = { switches: switches.length, wires: wires.length, warnings };
      printer(terminal, json)(checked, () => checkedText('right', checked));
    });

  adminVerb(
    group
      .command('upload <file>')
      .description('make a rack config the one in force; refused where it would move ports in use'),
  ).action(async (file: string, options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const uploaded = await client.call<Checked>('PUT', '/rack-config', {
      text: await readRack(file, terminal),
    });
    print(uploaded, () => checkedText('in force', uploaded));
  });

  adminVerb(group.command('show').description('the switches and wires in force')).action(
    async (options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const rack = await client.get<{
        readonly switches: readonly SwitchView[];
        readonly wires: readonly WireView[];
      }>('/rack-config');
      print(rack, () =>
        [
          table(
            ['SWITCH', 'TYPE', 'ADDRESS', 'FABRIC', 'UPLINKS', 'PROVISIONING', 'PARK', 'UNSAVED SINCE'],
            rack.switches.map((at) => [
              at.name,
              at.type,
              `${at.transport}://${at.host}${at.tcpPort === 0 ? '' : `:${at.tcpPort}`}`,
              at.fabric,
              at.uplinks.join(','),
              at.provisioning,
              at.park,
              time(at.unsavedSince),
            ]),
          ),
          '',
          table(
            ['MAC', 'SWITCH', 'PORT', 'SERVER'],
            rack.wires.map((wire) => [wire.mac, wire.switch, wire.port, wire.server]),
          ),
        ].join('\n'),
      );
    },
  );
  return group;
}

function checkedText(verdict: string, { switches, wires, warnings }: Checked): string {
  const told = warnings.map((warning) =>
    typeof warning === 'string' ? warning : `line ${warning.line}: ${warning.path}: ${warning.message}`,
  );
  return [`${verdict}: ${switches} switches, ${wires} wires`, ...told.map((line) => `warning: ${line}`)].join(
    '\n',
  );
}

async function readRack(file: string, terminal: Terminal): Promise<string> {
  const path = file === '-' ? 'standard input' : resolve(terminal.cwd, file);
  let bytes: Uint8Array;
  try {
    bytes = file === '-' ? await readAll(terminal.stdin) : await readFile(path);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ServiceError({
      code: 'cli.failed',
      what: `the rack config cannot be read (${why})`,
      where: path,
      remedy: 'name a readable file',
      cause,
    });
  }
  const text = utf8(bytes);
  if (text !== null) return text;
  throw new ServiceError({
    code: 'cli.failed',
    what: 'the rack config is not text in UTF-8',
    where: path,
    remedy: 'save it in UTF-8: another encoding would change passwords in it',
  });
}
