import { settings, type Setting } from './config-tree.ts';
import { defaultConfigFile } from './load-config.ts';

const preface = `# Configuration

This page is generated from \`src/config\`. To make it anew: \`node --import tsx src/config/write-reference.ts\`.

\`csbm\` reads one YAML file: the one named on the command line, else the one named by \`CSBM_CONFIG\`, else
\`${defaultConfigFile}\` in the working folder. Without a file the defaults hold. A documented sample is
\`rack-config/samples/csbm.yaml\`.

- An unknown key, a misspelt value or an unreadable secret is refused at the start, all at once, with file, line, key and
  remedy. \`key:\` with nothing behind it means the default.
- Paths are relative to the file; where the environment gives them, to the working folder.
- Durations are written with a unit: \`250ms\`, \`30s\`, \`5m\`, \`2h\`, \`1d\`.
- A secret is written \`env:NAME\` (an environment variable) or \`file:/path\` (a file; one line end at its end is left off),
  never as text.
- Every single value can be set from the environment, which wins over the file: \`CSBM_\`, the section and the key in
  capitals, with \`_\` between words: \`http.port\` is \`CSBM_HTTP_PORT\`, \`timings.powerOff\` is \`CSBM_TIMINGS_POWER_OFF\`,
  \`cloudstack.agent.trustAll\` is \`CSBM_CLOUDSTACK_AGENT_TRUST_ALL\`. For a secret the variable holds the secret itself.
  Lists and settings come from the file only.
`;

const columns = ['Key', 'Type', 'Default', 'Meaning'] as const;

/** The text of docs/config.md: every key with type, default and meaning. */
export function configReference(): string {
  const sections = new Map<string, Setting[]>();
  for (const setting of settings) {
    const section = setting.path.length === 1 ? '' : setting.path[0]!;
    sections.set(section, [...(sections.get(section) ?? []), setting]);
  }
  const parts = Array.from(sections, ([section, members]) => {
    const title = section === '' ? 'Top level' : section;
    return `## ${title}\n\n${table(members.map(row))}\n`;
  });
  return [preface, ...parts].join('\n');
}

function row({ path, kind, values, default: fallback, meaning }: Setting): readonly string[] {
  const key = path.length === 1 ? path[0]! : path.slice(1).join('.');
  const type = values ? values.map((value) => `\`${value}\``).join(', ') : kind;
  return [`\`${key}\``, type, fallback === undefined ? 'none' : `\`${fallback}\``, meaning];
}

/** A Markdown table whose columns are filled up to one width, as prettier writes it. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = columns.map((title, i) => Math.max(title.length, ...rows.map((cells) => cells[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
