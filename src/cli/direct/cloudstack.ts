import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { describeFrame, frameFromDescription } from '../../wire/cloudstack/frame-description.ts';

/** `csbm cloudstack`: frames of the CloudStack agent protocol, read and written on standard input and output. */
export function cloudstackCommand(): Command {
  const command = new Command('cloudstack');
  command
    .command('decode')
    .description('read a frame in hex on standard input, print it as one JSON object')
    .action(async function (this: Command) {
      await filter(this, (input) => JSON.stringify(describeFrame(input), null, 2));
    });
  command
    .command('encode')
    .description('read {"headerFields", "json"} on standard input, print the frame in hex')
    .action(async function (this: Command) {
      await filter(this, frameFromDescription);
    });
  return command;
}

async function filter(command: Command, convert: (input: string) => string): Promise<void> {
  const input = await text(process.stdin);
  let output: string;
  try {
    output = convert(input);
  } catch (error) {
    command.error(`error: ${asCodedError(error).message}`, { exitCode: 1 });
  }
  process.stdout.write(`${output}\n`);
}
