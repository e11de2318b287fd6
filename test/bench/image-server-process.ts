/**
 * The boot service in a process of its own, for the bench: takes the image of so many bytes (first argument) into its library, places
 * and arms an order, asks for its token as a machine does, tells where the image is (`ImageServer`), and serves until it is told to
 * end. Second argument: `kernel` sends by sendfile(2), `node` by way of Node.
 */
import { randomBytes } from 'node:crypto';
import { createLog } from '../../src/kernel/log/log.ts';
import { startFileSender } from '../../src/api/boot/file-sender.ts';
import { bootFolder, request, startBootFloor } from '../api/boot/boot-floor.ts';
import { deployOrder, machineOf } from '../operations/boot/boot-samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

export interface ImageServer {
  readonly url: string;
  readonly token: string;
  /** The stored file. */
  readonly path: string;
  /** False when `kernel` was asked for and cannot be had. */
  readonly asAsked: boolean;
}

const [bytes = '', mode = ''] = process.argv.slice(2);
const temp = await tempStorage();
const folder = bootFolder();
const sender = mode === 'kernel' ? await startFileSender(createLog({ level: 'silent' })) : null;
const floor = await startBootFloor({ storage: temp.storage, folder: folder.folder, sender });
await temp.storage.run((tx) => tx.machines.insert(machineOf()));
await floor.images.add(
  { name: 'tiny', canBond: true, firstBoot: 'nocloud', aliases: [] },
  content(Number(bytes)),
);
const order = deployOrder();
await floor.boots.place(order);
await temp.storage.run((tx) => floor.boots.arm(tx, order.id));
const script = await request(floor.base, '/boot/v1/script?mac=52-54-00-AA-00-01&platform=pcbios');
const token = /csbm\.token=(\S+)/.exec(script.body.toString())?.[1];
const file = await floor.images.file('tiny');
if (token === undefined || !file) throw new Error('the boot service gave no token, or has no image');
const server: ImageServer = {
  url: `${floor.base}/boot/v1/agent/image`,
  token,
  path: file.path,
  asAsked: mode !== 'kernel' || sender !== null,
};
process.send?.(server);
const end = async (): Promise<void> => {
  await floor.close();
  await temp.close();
  folder.remove();
  process.exit(0);
};
process.once('message', () => void end());
process.once('disconnect', () => void end());

/** Its first byte begins no known image format. */
async function* content(length: number): AsyncGenerator<Uint8Array> {
  const piece = randomBytes(1024 * 1024);
  piece[0] = 0;
  for (let at = 0; at < length; at += piece.length)
    yield piece.subarray(0, Math.min(piece.length, length - at));
}
