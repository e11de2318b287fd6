// Looks at the machine before anything is installed, so it imports nothing but Node and is written for old versions of it too.
import fs from 'fs';
import os from 'os';
import { pathToFileURL } from 'url';

const gibibyte = 1024 * 1024 * 1024;
const needed = { node: [20, 19], diskBytes: gibibyte, memoryBytes: gibibyte };

/**
 * One sentence for each thing that the demo needs, in the order in which they matter; what an old Node cannot tell (null) is left out.
 * @param {{ node: string, disks: { folder: string, freeBytes: number }[] | null, memoryBytes: number | null }} facts
 * @returns {{ ok: boolean, sentence: string }[]}
 */
export function judge(facts) {
  const version = facts.node.split('.').map(Number);
  const newEnough =
    version[0] > needed.node[0] || (version[0] === needed.node[0] && version[1] >= needed.node[1]);
  const verdicts = [
    {
      ok: newEnough,
      sentence: newEnough
        ? `Node ${facts.node} is new enough (${needed.node.join('.')} is needed).`
        : `Node ${facts.node} is too old: install version ${needed.node.join('.')} or newer (https://nodejs.org), then try again.`,
    },
  ];
  for (const { folder, freeBytes } of facts.disks || []) {
    const ok = freeBytes >= needed.diskBytes;
    verdicts.push({
      ok,
      sentence: ok
        ? `Disk: ${inGibibytes(freeBytes)} are free in ${folder} (1 GiB is needed).`
        : `Disk: only ${inGibibytes(freeBytes)} are free in ${folder}, 1 GiB is needed: delete something there, or point TMPDIR at a larger disk.`,
    });
  }
  if (facts.memoryBytes !== null) {
    const ok = facts.memoryBytes >= needed.memoryBytes;
    verdicts.push({
      ok,
      sentence: ok
        ? `Memory: ${inGibibytes(facts.memoryBytes)} are available (1 GiB is needed).`
        : `Memory: only ${inGibibytes(facts.memoryBytes)} are available, 1 GiB is needed: close other programs, or give this machine or container more.`,
    });
  }
  return verdicts;
}

function inGibibytes(bytes) {
  return `${(bytes / gibibyte).toFixed(1)} GiB`;
}

function facts() {
  // The build goes into the first, the demo's state into the second; often both are on one disk.
  const folders = [process.cwd(), os.tmpdir()].filter(
    (folder, index, all) => index === 0 || device(folder) !== device(all[0]),
  );
  const disks = fs.statfsSync ? folders.map((folder) => ({ folder, freeBytes: freeBytes(folder) })) : null;
  return { node: process.versions.node, disks, memoryBytes: availableMemory() };
}

function device(folder) {
  return fs.existsSync(folder) ? fs.statSync(folder).dev : null;
}

function freeBytes(folder) {
  if (!fs.existsSync(folder)) return 0;
  const { bavail, bsize } = fs.statfsSync(folder);
  return bavail * bsize;
}

/** What programs can still get: the system's estimate, within what a container is given. */
function availableMemory() {
  let available = os.freemem();
  try {
    const line = /^MemAvailable:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'));
    if (line) available = Number(line[1]) * 1024;
  } catch {
    // No /proc: the system's own count of free memory stands.
  }
  const limit = process.constrainedMemory ? process.constrainedMemory() : 0;
  // Without a limit Node answers 0, or more than the machine has.
  if (limit > 0 && limit < os.totalmem()) {
    const left = process.availableMemory ? process.availableMemory() : limit - process.memoryUsage().rss;
    available = Math.min(available, left);
  }
  return available;
}

if (process.argv[1] && import.meta.url === pathToFileURL(fs.realpathSync(process.argv[1])).href) {
  const verdicts = judge(facts());
  for (const { ok, sentence } of verdicts) console.log(`${ok ? 'ok      ' : 'MISSING '}${sentence}`);
  if (verdicts.some(({ ok }) => !ok)) process.exitCode = 1;
}
