/** On Node 20 tsx leaves threads alone, which then know nothing of TypeScript; later versions of Node need no help. */
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) {
  const { register } = await import('tsx/esm/api');
  register();
}
