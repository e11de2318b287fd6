/** The command `csbm`. */
import { exitCodes } from './exit-code.ts';
import { runCli } from './run-cli.ts';
import { processTerminal } from './terminal.ts';

// `csbm machine list | head -1`: whoever reads us has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  // A full disk, mostly: what was asked for is not where it was to go.
  process.stderr.write(
    `error: standard output cannot be written (${error.code ?? error.message}) [cli.failed]\n`,
  );
  process.exit(exitCodes.failed);
});
// Nobody hears what we would say; that must not end a service, nor the command.
process.stderr.on('error', () => undefined);

const code = await runCli(process.argv.slice(2), processTerminal());
// A verb that runs without the service may have set its own.
if (code !== 0) process.exitCode = code;
