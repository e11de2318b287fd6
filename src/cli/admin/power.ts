import type { Command } from 'commander';
import { table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface EventView {
  readonly id: number;
  readonly at: number | null;
  readonly sensorType: string;
  readonly sensor: number | null;
  readonly what: string;
  readonly asserted: boolean;
}

interface SensorView {
  readonly name: string;
  readonly type: string;
  readonly value: number | null;
  readonly unit: string | null;
  readonly states: readonly string[];
}

interface PowerView {
  readonly observed: { readonly state: string; readonly at: number } | null;
  readonly polling: {
    readonly state: string;
    readonly failures: number;
    readonly error: { readonly message: string } | null;
  } | null;
}

/** The verbs of `csbm power` that ask the service about a machine's BMC. */
export function machinePowerVerbs(group: Command, terminal: Terminal): Command {
  adminVerb(
    group.command('show <machine>').description('its power as the service last read it, and how that goes'),
  ).action(async (name: string, options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<PowerView>(`${pathOf(name)}/power`);
    print(document, () => powerText(document));
  });

  adminVerb(group.command('sel <machine>').description("read its BMC's System Event Log"))
    .option('--clear', 'erase the log instead of reading it')
    .option('--reason <text>', 'why, for the record', '')
    .action(
      async (name: string, options: AdminOptions & { readonly clear?: true; readonly reason: string }) => {
        const { client, print } = await adminRun(terminal, options);
        const path = `${pathOf(name)}/events`;
        if (options.clear) {
          await client.call('DELETE', path, { body: { reason: options.reason } });
          print({ cleared: true }, () => 'the event log is erased');
          return;
        }
        const document = await client.get<{ readonly events: readonly EventView[] }>(path);
        print(document, () => eventTable(document.events));
      },
    );

  adminVerb(group.command('sensors <machine>').description("read its BMC's sensors")).action(
    async (name: string, options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.get<{ readonly sensors: readonly SensorView[] }>(
        `${pathOf(name)}/sensors`,
      );
      print(document, () => sensorTable(document.sensors));
    },
  );
  return group;
}

const breakerTexts: Readonly<Record<string, string>> = {
  closed: 'read at every interval',
  open: 'only probed now and then, because it did not answer',
  blocked: 'not read any more, because it refused user or password',
};

function powerText({ observed, polling }: PowerView): string {
  const state = observed ? `power is ${observed.state}, read at ${time(observed.at)!}` : 'power is unknown';
  if (!polling) return state;
  const why = polling.error ? `\nlast failure, ${polling.failures} in a row: ${polling.error.message}` : '';
  return `${state}\nthe BMC is ${breakerTexts[polling.state] ?? polling.state}${why}`;
}

function eventTable(events: readonly EventView[]): string {
  return table(
    ['ID', 'AT', 'SENSOR', 'NUMBER', 'WHAT', ''],
    events.map(({ id, at, sensorType, sensor, what, asserted }) => [
      id,
      time(at) ?? 'clock not set',
      sensorType,
      sensor,
      what,
      asserted ? 'asserted' : 'over',
    ]),
  );
}

function sensorTable(sensors: readonly SensorView[]): string {
  return table(
    ['NAME', 'TYPE', 'VALUE', 'STATE'],
    sensors.map(({ name, type, value, unit, states }) => [
      name,
      type,
      value === null ? null : `${Number(value.toFixed(3))}${unit === null ? '' : ` ${unit}`}`,
      states.join(', '),
    ]),
  );
}

function pathOf(name: string): string {
  return `/machines/${encodeURIComponent(name)}`;
}
