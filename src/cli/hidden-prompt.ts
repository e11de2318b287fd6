import { ServiceError } from '../kernel/errors/service-error.ts';
import { Exit, exitCodes } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/**
 * Asks for a secret on a terminal without showing it.
 * @throws ServiceError `cli.usage` with `remedy` where there is no terminal to ask on
 */
export async function hiddenPrompt(
  terminal: Pick<Terminal, 'stdin'> & { readonly stderr: { write(text: string): unknown } },
  question: string,
  remedy: string,
): Promise<string> {
  const { stdin, stderr } = terminal;
  if (!stdin.isTTY || !stdin.setRawMode)
    throw new ServiceError({
      code: 'cli.usage',
      what: `${question}: there is no terminal to ask on`,
      remedy,
    });
  stderr.write(`${question}: `);
  stdin.setRawMode(true);
  try {
    return await readLine(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

/** In raw mode the terminal edits nothing: Enter, Backspace, Ctrl-U, Ctrl-C and Ctrl-D are ours to understand. */
function readLine(stdin: Terminal['stdin']): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = '';
    const stop = (): void => {
      stdin.off('data', take);
      stdin.off('end', interrupted);
    };
    const interrupted = (): void => {
      stop();
      reject(new Exit(exitCodes.interrupted));
    };
    const take = (chunk: Buffer | string): void => {
      for (const key of chunk.toString()) {
        if (key === '\r' || key === '\n') {
          stop();
          resolve(line);
          return;
        }
        if (key === '\u0003' || key === '\u0004') return interrupted();
        if (key === '\u0015') line = '';
        else line = key === '\u007f' || key === '\b' ? line.slice(0, -1) : line + key;
      }
    };
    stdin.on('data', take);
    stdin.once('end', interrupted);
    stdin.resume();
  });
}
