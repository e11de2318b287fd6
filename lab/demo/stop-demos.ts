/** `make demo-stop`: ends every demo of this user that was kept, and clears away what killed ones left. */
import { rmSync } from 'node:fs';
import { demoFolders, stillRuns, type KnownProcess } from './demo-record.ts';

/** Milliseconds that a demo gets to end in order. */
const patience = 15_000;

async function end(known: KnownProcess): Promise<void> {
  process.kill(known.pid, 'SIGTERM');
  const until = performance.now() + patience;
  while (stillRuns(known)) {
    if (performance.now() > until) {
      process.kill(known.pid, 'SIGKILL');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let ended = 0;
for (const { folder, record } of demoFolders()) {
  if (record === null) {
    console.log(`left alone, nothing says whose it is: ${folder}`);
    continue;
  }
  const running = stillRuns(record.demo);
  if (running && !record.kept) {
    console.log(`left alone, it is still telling its story: ${folder}`);
    continue;
  }
  if (running) await end(record.demo);
  for (const service of [record.service, record.upstream])
    if (service && stillRuns(service)) await end(service);
  if (record.failed) {
    console.log(`a demo failed here and was left to be looked at; rm -rf ${folder} ${folder}.txt removes it`);
    continue;
  }
  rmSync(folder, { recursive: true, force: true });
  rmSync(`${folder}.txt`, { force: true });
  console.log(running ? `ended and removed: ${folder}` : `removed what a killed demo left: ${folder}`);
  ended += 1;
}
if (ended === 0) console.log('no demo is kept up');
