/** The command `csbm`. */
import { runCli } from './run-cli.ts';
import { processTerminal } from './terminal.ts';

// `csbm machine list | head -1`: whoever reads us has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const code = await runCli(process.argv.slice(2), processTerminal());
// A verb that runs without the service may have set its own.
if (code !== 0) process.exitCode = code;
