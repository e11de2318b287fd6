import type { Command } from 'commander';

const preface = `# The command csbm

This page is generated from \`src/cli\`. To make it anew: \`node --import tsx src/cli/write-reference.ts\`.

\`bin/csbm\` runs from a checkout (it builds what changed first) or from an installed package; it needs Node.js 20.19 or newer.
\`csbm VERB --help\` explains a verb with all of its options.

- Verbs of the service are clients of the admin API. Where it is: \`--url\`, else \`CSBM_URL\`, else \`http.host\` and \`http.port\`
  of the csbm.yaml here, else \`http://127.0.0.1:8440\`.
- The token: \`--token-file\`, else \`CSBM_TOKEN\`, else the file in \`CSBM_TOKEN_FILE\`, else \`admin.token\` in the state folder of the
  csbm.yaml here. That last one is never sent to another machine than this. A token is never an argument: those are seen
  by everybody on the machine.
- An \`https\` service must show a certificate of a well-known CA, or of the one that \`--ca\` or \`CSBM_CA\` names (PEM); the URL must
  call it by a name or address in that certificate. \`--insecure\` believes any certificate, for this one call.
- Secrets of BMCs come from the environment, a file, or a prompt that does not show them.
- \`--json\` prints one JSON document on standard output, \`{"error": {"code", "retry", "what", ...}}\` when it failed. Without it
  there are tables for people. Errors are told on standard error: what, where, what the device said, what to do.
- Verbs that begin an operation show each step with its evidence until the end (\`--follow\`, the default on a terminal), or
  return at once (\`--no-follow\`). \`ok\` = the device showed the result; \`set\` = it was told and cannot show it. Ctrl-C ends only the
  looking on: the operation goes on. A service that restarts meanwhile is waited for.
- \`--plan\` says what an operation would do, and does nothing. \`--reason\` is kept with the operation, for whoever asks why.

In the tables, verbs of the service have \`--url\`, \`--token-file\`, \`--ca\`, \`--insecure\` and \`--json\` besides what is listed;
those marked _operation_ have \`--plan\`, \`--reason\`, \`--follow\` and \`--no-follow\` too.
`;

const exits: readonly (readonly [string, string])[] = [
  ['0', 'done'],
  ['1', 'refused, or failed; with `--follow`: the operation failed or was cancelled'],
  ['2', 'the command line is wrong; nothing was done'],
  ['3', 'the service does not answer'],
  ['130', 'Ctrl-C while following (the operation goes on), or at a prompt'],
];

const environment: readonly (readonly [string, string])[] = [
  ['`CSBM_URL`', 'where the service is'],
  ['`CSBM_TOKEN`', 'the token for it'],
  ['`CSBM_TOKEN_FILE`', 'file with that token'],
  ['`CSBM_CA`', 'file with the CA of an https service'],
  ['`CSBM_CONFIG`', 'csbm.yaml, for `serve` and `config`, and to find the local service'],
  ['`CSBM_BMC_PASSWORD`', 'password of the BMC, for `machine enrol` and `power`'],
  ['`CSBM_BMC_KG`', 'BMC key (Kg), for `machine enrol`'],
  ['`CSBM_LAB_PASSWORD`', 'password of a simulated switch or BMC, for `lab switch` and `lab bmc`'],
  ['`CSBM_<SECTION>_<KEY>`', 'a setting of csbm.yaml, for `serve` and `config`: see [config.md](config.md)'],
];

/** Options that the preface explains once: those of every verb of the service, and those of every operation. */
const serviceOptions = ['--url', '--token-file', '--ca', '--insecure', '--json'];
const operationOptions = ['--plan', '--reason', '--follow', '--no-follow'];

/** The text of docs/cli.md: every verb with its arguments, meaning and options. */
export function cliReference(program: Command): string {
  const groups = program.commands.filter((command) => command.commands.length > 0);
  const single = program.commands.filter((command) => command.commands.length === 0);
  const sections = [
    `## Verbs\n\n${verbTable(single, 'csbm')}\n`,
    ...groups.map((group) => {
      const also = group.alias() ? ` Also \`csbm ${group.alias()}\`.` : '';
      const rows = verbTable(group.commands, `csbm ${group.name()}`);
      return `## csbm ${group.name()}\n\n${sentence(group.description())}${also}\n\n${rows}\n`;
    }),
  ];
  return [
    preface,
    `## Exit codes\n\n${table(['Code', 'Meaning'], exits)}\n`,
    `## Environment\n\n${table(['Variable', 'Meaning'], environment)}\n`,
    ...sections,
  ].join('\n');
}

function verbTable(commands: readonly Command[], before: string): string {
  const rows = commands.map((command) => {
    const usage = command.registeredArguments
      .map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`))
      .join(' ');
    const options = optionsOf(command);
    const names = [command.name(), ...command.aliases()].map(
      (name) => `\`${before} ${name}${usage && ` ${usage}`}\``,
    );
    return [names.join(', '), command.description(), options || 'none'];
  });
  return table(['Verb', 'Meaning', 'Options'], rows);
}

function optionsOf(command: Command): string {
  const all = command.options.map((option) => option.long ?? option.flags);
  const known = [
    ...(all.includes('--url') ? serviceOptions : []),
    ...(all.includes('--plan') ? operationOptions : []),
  ];
  const own = all.filter((option) => !known.includes(option)).map((option) => `\`${option}\``);
  return [...(all.includes('--plan') ? ['_operation_'] : []), ...own].join(' ');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** A Markdown table whose columns are filled up to one width, as prettier writes it. */
function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = titles.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(titles), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}
