import { Command } from 'commander';
import { packageVersion } from '../kernel/version/package-version.ts';
import type { Terminal } from './terminal.ts';

interface Verb {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  /** Loaded only when this verb is asked for, so that `csbm --help` and every other verb stay fast. */
  load(terminal: Terminal): Promise<Command>;
}

const verbs: readonly Verb[] = [
  {
    name: 'serve',
    summary: 'run the service in the foreground',
    load: async (terminal) => (await import('./direct/serve.ts')).serveCommand(terminal),
  },
  {
    name: 'status',
    alias: 'health',
    summary: 'how the service and its surroundings are',
    load: async (terminal) => (await import('./admin/status.ts')).statusCommand(terminal),
  },
  {
    name: 'doctor',
    summary: 'what a person should look at: asks every BMC and every switch, changes nothing',
    load: async (terminal) => (await import('./admin/doctor.ts')).doctorCommand(terminal),
  },
  {
    name: 'machine',
    summary: 'physical servers: enrol, see, start, stop, destroy, withhold',
    load: async (terminal) => (await import('./admin/machine.ts')).machineCommand(terminal),
  },
  {
    name: 'console',
    summary: "a machine's serial console",
    load: async (terminal) => (await import('./admin/console.ts')).consoleCommand(terminal),
  },
  {
    name: 'operation',
    alias: 'op',
    summary: 'journaled work on machines: see, follow, cancel, retry',
    load: async (terminal) => (await import('./admin/operation.ts')).operationCommand(terminal),
  },
  {
    name: 'rack',
    summary: 'the rack config: check, upload, show',
    load: async (terminal) => (await import('./admin/rack.ts')).rackCommand(terminal),
  },
  {
    name: 'quarantine',
    summary: 'machines, ports, switches and BMCs that are withheld: see, add, lift',
    load: async (terminal) => (await import('./admin/quarantine.ts')).quarantineCommand(terminal),
  },
  {
    name: 'instance',
    summary: 'the processes of the service that share its database',
    load: async (terminal) => (await import('./admin/instance.ts')).instanceCommand(terminal),
  },
  {
    name: 'image',
    summary: 'images that machines are installed with',
    load: async (terminal) => (await import('./admin/image.ts')).imageCommand(terminal),
  },
  {
    name: 'pool',
    summary: 'pools of machines, and through which doors they are handed out',
    load: async (terminal) => (await import('./admin/pool.ts')).poolCommand(terminal),
  },
  {
    name: 'principal',
    summary: 'who may use the service',
    load: async (terminal) => (await import('./admin/principal.ts')).principalCommand(terminal),
  },
  {
    name: 'api-key',
    summary: 'keys for clients of the MAAS API',
    load: async (terminal) => (await import('./admin/api-key.ts')).apiKeyCommand(terminal),
  },
  {
    name: 'alarms',
    summary: 'what a person should look at, the newest first',
    load: async (terminal) => (await import('./admin/status.ts')).alarmsCommand(terminal),
  },
  {
    name: 'timeline',
    summary: 'what happened to a machine: commands, steps, ports, BMC, engine, alarms',
    load: async (terminal) => (await import('./admin/timeline.ts')).timelineCommand(terminal),
  },
  {
    name: 'prune',
    summary: 'remove now what is older than its retention',
    load: async (terminal) => (await import('./admin/timeline.ts')).pruneCommand(terminal),
  },
  {
    name: 'metrics',
    summary: 'the metrics of the service, as Prometheus reads them',
    load: async (terminal) => (await import('./admin/status.ts')).metricsCommand(terminal),
  },
  {
    name: 'config',
    summary: 'the file csbm.yaml: check it, show what can be written there',
    load: async (terminal) => (await import('./direct/config.ts')).configCommand(terminal),
  },
  {
    name: 'backup',
    summary: 'write the whole database into a file, also while the service runs',
    load: async (terminal) => (await import('./direct/backup.ts')).backupCommand(terminal),
  },
  {
    name: 'restore',
    summary: 'put a backup in the place of the database; see what differs then, and accept it',
    load: async (terminal) => (await import('./direct/restore.ts')).restoreCommand(terminal),
  },
  {
    name: 'power',
    summary: 'power: act on a BMC directly, or see what the service knows of a machine',
    load: async (terminal) => {
      const [direct, admin] = await Promise.all([import('./direct/power.ts'), import('./admin/power.ts')]);
      return admin.machinePowerVerbs(direct.powerCommand(), terminal);
    },
  },
  {
    name: 'switch',
    summary: 'read, plan and change switch ports directly, without the service',
    load: async () => (await import('./direct/switch.ts')).switchCommand(),
  },
  {
    name: 'cloudstack',
    summary: 'what the service does by its API; frames of the agent protocol',
    load: async (terminal) => {
      const group = (await import('./direct/cloudstack.ts')).cloudstackCommand();
      (await import('./admin/cloudstack.ts')).addCloudstackVerbs(group, terminal);
      return group;
    },
  },
  {
    name: 'native',
    summary: 'the native deploy engine and its provisioning network',
    load: async (terminal) => (await import('./direct/native-doctor.ts')).nativeCommand(terminal),
  },
  {
    name: 'lab',
    summary: 'simulated switches, BMCs, machines and management servers',
    load: async () => (await import('./direct/lab.ts')).labCommand(),
  },
];

/**
 * The whole command line of csbm. Only the verb that `args` asks for is loaded, the others are named; without `args` all
 * of them are, for the reference.
 */
export async function csbmProgram(terminal: Terminal, args?: readonly string[]): Promise<Command> {
  const program = new Command('csbm')
    .description(
      'CloudStack-compatible bare metal: starts instances on physical servers, takes the servers back erased',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [verb]', 'explain a verb');
  const operands = args?.filter((arg) => !arg.startsWith('-'));
  const asked = operands?.[0] === 'help' ? operands[1] : operands?.[0];
  for (const verb of verbs) {
    const wanted = args === undefined || (asked !== undefined && [verb.name, verb.alias].includes(asked));
    const command = wanted ? await verb.load(terminal) : new Command(verb.name);
    command.summary(verb.summary);
    if (!command.description()) command.description(verb.summary);
    if (verb.alias) command.alias(verb.alias);
    program.addCommand(command);
  }
  return program;
}
